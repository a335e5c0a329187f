//! Inspect: everything about one container, in the API's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use barge_api::containers::{
    ContainerInspect, ContainerNetworkSettings, ContainerState, DefaultNetworkSettings, GraphDriver,
    MountPoint, PortMap,
};
use barge_api::networks::EndpointSettings;

use super::document::Document;
use super::etc::Paths;
use super::lifecycle::Status;
use super::spec::oci::shares_network;
use super::task::View;
use super::{Containers, bundle};
use crate::clock::{rfc3339, rfc3339_or_never};
use crate::engine::Engine;
use crate::error::Result;
use crate::networks::Attachment;

const DRIVER: &str = "overlay2";

impl Containers {
    /// Everything about one.
    pub async fn inspect(&self, engine: &Arc<Engine>, id: &str, size: bool) -> Result<ContainerInspect> {
        let container = self.index.find(id)?;
        let mut found = describe(engine, &container.view());
        if size {
            let (helper, id, image) = (Arc::clone(engine), container.id.clone(), found.image.clone());
            let sizes = tokio::task::spawn_blocking(move || sizes(&helper, &id, &image)).await;
            let (changed, whole) = sizes.unwrap_or_default();
            (found.size_rw, found.size_root_fs) = (Some(changed), Some(whole));
        }
        Ok(found)
    }
}

/// Bytes that a container has written, and those together with its image.
pub(super) fn sizes(engine: &Engine, id: &str, image: &str) -> (i64, i64) {
    let changed = engine.images.store().snapshots().usage(id).unwrap_or_default();
    let image = engine.images.store().images().resolve(image).map_or(0, |image| image.size);
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    (signed(changed), signed(changed + image))
}

fn describe(engine: &Engine, view: &View) -> ContainerInspect {
    let document = &*view.document;
    let dir = engine.config.containers_dir().join(&document.id);
    let paths = Paths::of(engine, document);
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let started_before = !matches!(document.status, Status::Created { .. });
    let etc = |path| if started_before { text(path) } else { String::new() };
    let mut command = document.command().into_iter();
    let logs = document.host_config.log_config.driver != "none" && started_before;
    ContainerInspect {
        id: document.id.clone(),
        created: rfc3339(document.created),
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state: state(&document.status),
        image: document.image.clone(),
        resolv_conf_path: etc(&paths.resolv_conf),
        hostname_path: etc(&paths.hostname),
        hosts_path: etc(&paths.hosts),
        log_path: if logs { text(&bundle::log_path(document, &dir)) } else { String::new() },
        name: format!("/{}", document.name),
        restart_count: document.restarts.into(),
        driver: DRIVER.to_owned(),
        platform: "linux".to_owned(),
        exec_ids: engine.execs.of(&document.id),
        host_config: document.host_config.clone(),
        graph_driver: graph_driver(engine, &document.id),
        mounts: mounts(document),
        config: document.config.clone(),
        network_settings: network_settings(document, &view.attachments),
        image_manifest_descriptor: document.image_manifest.clone(),
        ..ContainerInspect::default()
    }
}

/// The state with the flags that old clients read.
pub(super) fn state(status: &Status) -> ContainerState {
    let exit = status.last_exit();
    let run = status.run();
    ContainerState {
        status: status.word().to_owned(),
        running: status.counts_as_running(),
        paused: matches!(status, Status::Paused(_)),
        restarting: matches!(status, Status::Restarting(_)),
        oom_killed: exit.oom_killed,
        dead: matches!(status, Status::Dead(_)),
        pid: run.map_or(0, |run| run.pid.into()),
        exit_code: exit.code.into(),
        error: exit.error,
        started_at: rfc3339_or_never(exit.started_at),
        finished_at: rfc3339_or_never(exit.finished_at),
        health: None,
    }
}

fn graph_driver(engine: &Engine, id: &str) -> Option<GraphDriver> {
    let snapshot = engine.images.store().snapshots().open(id).ok()?;
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let lower: Vec<String> = snapshot.lower.iter().map(|path| text(path)).collect();
    let merged = snapshot.upper.with_file_name("merged");
    let data = BTreeMap::from([
        ("ID".to_owned(), id.to_owned()),
        ("LowerDir".to_owned(), lower.join(":")),
        ("MergedDir".to_owned(), text(&merged)),
        ("UpperDir".to_owned(), text(&snapshot.upper)),
        ("WorkDir".to_owned(), text(&snapshot.work)),
    ]);
    Some(GraphDriver { data, name: DRIVER.to_owned() })
}

/// The mounts as listed; `--tmpfs` is shown in `HostConfig.Tmpfs` only.
pub(super) fn mounts(document: &Document) -> Vec<MountPoint> {
    document.mounts.iter().filter(|mount| !mount.unlisted).map(|mount| mount.point.clone()).collect()
}

fn network_settings(document: &Document, attachments: &[Attachment]) -> ContainerNetworkSettings {
    let mut settings =
        ContainerNetworkSettings { networks: networks(document, attachments), ..Default::default() };
    let default = attachments.iter().find(|attachment| attachment.network == "bridge");
    settings.default_bridge = Some(
        default.map_or_else(DefaultNetworkSettings::default, |attachment| repeated(&attachment.settings)),
    );
    if let Some(run) = document.status.run().filter(|_| !shares_network(&document.host_config.network_mode)) {
        settings.sandbox_id.clone_from(&document.id);
        settings.sandbox_key = format!("/proc/{}/ns/net", run.pid);
        settings.ports = ports(document, attachments);
    }
    settings
}

/// The default bridge's endpoint in the fields of old.
fn repeated(endpoint: &EndpointSettings) -> DefaultNetworkSettings {
    DefaultNetworkSettings {
        endpoint_id: endpoint.endpoint_id.clone(),
        gateway: endpoint.gateway.clone(),
        global_ipv6_address: endpoint.global_ipv6_address.clone(),
        global_ipv6_prefix_len: endpoint.global_ipv6_prefix_len,
        ip_address: endpoint.ip_address.clone(),
        ip_prefix_len: endpoint.ip_prefix_len,
        ipv6_gateway: endpoint.ipv6_gateway.clone(),
        mac_address: endpoint.mac_address.clone(),
        ..DefaultNetworkSettings::default()
    }
}

/// Every network of a container: as joined while it runs, as asked for otherwise.
pub(super) fn networks(
    document: &Document,
    attachments: &[Attachment],
) -> BTreeMap<String, EndpointSettings> {
    let mut networks = document.networks.clone();
    for attachment in attachments {
        networks.insert(attachment.network.clone(), attachment.settings.clone());
    }
    networks
}

/// Exposed ports with where they are published.
pub(super) fn ports(document: &Document, attachments: &[Attachment]) -> PortMap {
    let mut ports: PortMap = document.config.exposed_ports.keys().map(|port| (port.clone(), None)).collect();
    for (port, bindings) in attachments.iter().flat_map(|attachment| &attachment.ports) {
        let slot = ports.entry(port.clone()).or_default();
        if let Some(bindings) = bindings {
            slot.get_or_insert_default().extend(bindings.iter().cloned());
        }
    }
    ports
}
