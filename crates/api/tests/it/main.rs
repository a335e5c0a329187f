//! Answers of a real dockerd (20.10, API 1.41) read into our types and written again: nothing that we know may change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use barge_api::containers::{ContainerInspect, ContainerStats, ContainerSummary, CreateRequest, TopResponse};
use barge_api::events::EventMessage;
use barge_api::exec::ExecInspect;
use barge_api::images::{HistoryItem, ImageInspect, ImageSummary};
use barge_api::networks::Network;
use barge_api::system::{DiskUsage, Info, Version};
use barge_api::volumes::VolumeList;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Fields that dockerd no longer sends: gone from the versions we speak, or empty lists turned into `null`.
const GONE: &[&str] = &[
    "Config.MacAddress",
    "ContainerdCommit.Expected",
    "RuncCommit.Expected",
    "InitCommit.Expected",
    "KernelMemory",
    "HostConfig.KernelMemory",
    "HostConfig.KernelMemoryTCP",
    "RegistryConfig.AllowNondistributableArtifactsCIDRs",
    "RegistryConfig.AllowNondistributableArtifactsHostnames",
    "ClusterAdvertise",
    "ClusterStore",
    "ContainerConfig",
    "Container",
    "BridgeNfIptables",
    "BridgeNfIp6tables",
];

/// What an image's configuration had of a container's, up to API 1.49.
const NOT_AN_IMAGES: &[&str] = &[
    "Config.AttachStderr",
    "Config.AttachStdin",
    "Config.AttachStdout",
    "Config.Domainname",
    "Config.Hostname",
    "Config.Image",
    "Config.OpenStdin",
    "Config.StdinOnce",
    "Config.Tty",
];

fn check<T: Serialize + DeserializeOwned>(text: &str) {
    check_but::<T>(&[], text);
}

fn check_but<T: Serialize + DeserializeOwned>(gone: &[&str], text: &str) {
    let given: Value = serde_json::from_str(text).unwrap();
    let written = serde_json::to_value(serde_json::from_value::<T>(given.clone()).unwrap()).unwrap();
    let mut differences = Vec::new();
    compare("", &given, &written, &mut differences);
    differences.retain(|text| !gone.iter().any(|path| *text == format!("{path} is lost")));
    assert!(differences.is_empty(), "{}:\n{}", std::any::type_name::<T>(), differences.join("\n"));
}

/// Collects what was lost or changed on the way; fields that newer versions added do not count.
fn compare(path: &str, given: &Value, written: &Value, differences: &mut Vec<String>) {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match written.get(key) {
                    Some(other) => compare(&path, value, other, differences),
                    None if value.is_null() || GONE.contains(&path.as_str()) => {}
                    None => differences.push(format!("{path} is lost")),
                }
            }
        }
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => {
            given.iter().zip(written).for_each(|(given, written)| compare(path, given, written, differences));
        }
        _ if given == written => {}
        _ if is_empty(given) && is_empty(written) => {}
        _ => differences.push(format!("{path}: {given} became {written}")),
    }
}

/// Go tells a list or map never set from one emptied; no client does.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[test]
fn answers_of_dockerd_survive() {
    check::<ContainerInspect>(include_str!("golden/container.json"));
    check::<Vec<ContainerSummary>>(include_str!("golden/containers.json"));
    check::<ContainerStats>(include_str!("golden/stats.json"));
    check::<TopResponse>(include_str!("golden/top.json"));
    check::<ExecInspect>(include_str!("golden/exec.json"));
    check_but::<ImageInspect>(NOT_AN_IMAGES, include_str!("golden/image.json"));
    check::<Vec<ImageSummary>>(include_str!("golden/images.json"));
    check::<Vec<HistoryItem>>(include_str!("golden/history.json"));
    check::<Vec<Network>>(include_str!("golden/networks.json"));
    check::<VolumeList>(include_str!("golden/volumes.json"));
    check::<Info>(include_str!("golden/info.json"));
    check::<Version>(include_str!("golden/version.json"));
    check::<DiskUsage>(include_str!("golden/df.json"));
    check::<EventMessage>(include_str!("golden/event.json"));
}

/// The body of `docker run busybox true`, API 1.50.
#[test]
fn a_create_body_of_dockers_command_line_survives() {
    check::<CreateRequest>(include_str!("golden/create.json"));
}

#[test]
fn every_field_may_be_null() {
    fn nulls(value: &Value) -> Value {
        let object = value.as_object().unwrap();
        Value::Object(object.keys().map(|key| (key.clone(), Value::Null)).collect())
    }
    let create: Value = serde_json::from_str(include_str!("golden/create.json")).unwrap();
    let mut all_null = nulls(&create);
    serde_json::from_value::<CreateRequest>(all_null.clone()).unwrap();
    all_null["HostConfig"] = nulls(&create["HostConfig"]);
    all_null["NetworkingConfig"] = serde_json::json!({ "EndpointsConfig": { "bridge": null } });
    let request: CreateRequest = serde_json::from_value(all_null).unwrap();
    assert_eq!(request.host_config, Some(Default::default()));
    assert_eq!(
        request.networking_config.unwrap().endpoints_config,
        BTreeMap::from([("bridge".to_owned(), None)])
    );
}
