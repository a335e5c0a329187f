//! Golden specifications: what a request becomes. `UPDATE_GOLDEN=1` writes the files anew.

use std::path::Path;

use barge_api::containers::{ContainerConfig, CreateRequest, HostConfig};
use barge_oci::image_config::ContainerDefaults;

use super::super::host::CgroupSetup;
use super::*;
use crate::config::Config;
use crate::containers::spec::resolve;

fn host() -> Host {
    Host {
        arch: "amd64",
        kernel: (6, 1),
        cpus: 8,
        cpu_list: "0-7".to_owned(),
        node_list: "0".to_owned(),
        cgroup: CgroupSetup::Legacy,
        swap_limit: true,
        thermal_throttles: Vec::new(),
    }
}

fn words(text: &str) -> Option<Vec<String>> {
    Some(text.split(' ').map(str::to_owned).collect())
}

fn spec_of(host_config: HostConfig, config: ContainerConfig) -> serde_json::Value {
    let request = CreateRequest { host_config: Some(host_config), config, ..CreateRequest::default() };
    let defaults = Config::new("/var/lib/barge", "/run/barge", "/usr/bin/barge");
    let image = ContainerDefaults { cmd: words("sh"), ..ContainerDefaults::default() };
    let checked = resolve(request, &image, &defaults, &host()).unwrap();
    let mut document = Document::sample("0123456789abcdef");
    (document.config, document.host_config) = (checked.config, checked.host_config);
    let etc = [EtcFile { destination: "/etc/hosts", source: "/data/hosts".to_owned() }];
    let spec = build(&Inputs {
        document: &document,
        host: &host(),
        shared: Shared { network: None, ipc: None, pid: Some(77) },
        etc: &etc,
        cgroup_parent: "/docker",
        init: document.host_config.init.filter(|init| *init).map(|_| "/usr/bin/barge"),
        no_new_privileges: false,
        seccomp_profile: None,
    });
    let mut value = serde_json::to_value(spec.unwrap()).unwrap();
    // The profile has its own tests; here only whether there is one matters.
    let seccomp = &mut value["linux"]["seccomp"];
    if !seccomp.is_null() {
        *seccomp = "the profile".into();
    }
    sort_capabilities(&mut value);
    value
}

/// The sets are unordered in memory.
fn sort_capabilities(value: &mut serde_json::Value) {
    for (_, set) in value["process"]["capabilities"].as_object_mut().into_iter().flatten() {
        if let Some(names) = set.as_array_mut() {
            names.sort_by_key(ToString::to_string);
        }
    }
}

fn check_golden(name: &str, found: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/containers/spec/golden").join(name);
    let text = serde_json::to_string_pretty(found).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} differs; UPDATE_GOLDEN=1 accepts:\n{text}", path.display());
}

#[test]
fn a_plain_container() {
    let config = ContainerConfig { hostname: "web".to_owned(), ..ContainerConfig::default() };
    let host_config = HostConfig { pid_mode: "container:x".to_owned(), ..HostConfig::default() };
    check_golden("plain.json", &spec_of(host_config, config));
}

#[test]
fn a_container_with_everything() {
    let text = r#"{
        "NetworkMode": "none", "ReadonlyRootfs": true, "CapDrop": ["ALL"], "CapAdd": ["net_admin"], "Init": true,
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"], "Memory": 67108864, "NanoCpus": 500000000,
        "PidsLimit": 10, "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}], "OomScoreAdj": 5,
        "Sysctls": {"net.core.somaxconn": "5"}, "GroupAdd": ["7"], "IpcMode": "none", "UTSMode": "host",
        "CgroupnsMode": "private", "CgroupParent": "/mine", "ShmSize": 1024, "Annotations": {"a": "b"}}"#;
    let config = ContainerConfig {
        tty: true,
        working_dir: "/srv/../srv".to_owned(),
        entrypoint: words("/bin/echo hello"),
        cmd: words("world"),
        env: vec!["A=b".to_owned()],
        ..ContainerConfig::default()
    };
    check_golden("everything.json", &spec_of(serde_json::from_str(text).unwrap(), config));
}

#[test]
fn a_privileged_container_is_not_held_back() {
    let host_config = HostConfig {
        privileged: true,
        network_mode: "host".to_owned(),
        pid_mode: "host".to_owned(),
        ..HostConfig::default()
    };
    let spec = spec_of(host_config, ContainerConfig::default());
    let linux = &spec["linux"];
    assert!(linux["seccomp"].is_null() && linux["sysctl"].is_null());
    assert_eq!(linux["maskedPaths"], serde_json::json!([]));
    assert_eq!(linux["resources"]["devices"], serde_json::json!([{"allow": true, "access": "rwm"}]));
    let kinds: Vec<_> =
        linux["namespaces"].as_array().unwrap().iter().map(|found| found["type"].clone()).collect();
    assert_eq!(kinds, ["mount", "uts", "ipc"]);
}
