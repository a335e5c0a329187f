//! `spec`: a config.json to begin with, which runs a shell. It is runc's (`spec/config.json` here), so that what people
//! have learned to change in that one is where they look for it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use serde_json::{Value, json};

use super::features::NEWEST;
use super::flags::{Flag, Given, Syntax};
use super::{Globals, Verb};
use crate::cgroup::Layout;
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "spec",
        about: "Write a config.json to begin with",
        words: "",
        count: (0, 0),
        open: false,
        flags: &[
            Flag::with("bundle", "directory", "Directory to write it to (default: here)").or('b'),
            Flag::switch("rootless", "For a container that this user runs without privileges"),
        ],
    },
    spec,
);

fn spec(_: &Globals, given: &Given) -> Result<u8> {
    let unified = matches!(Layout::of_host(), Ok(Layout::Unified(_)));
    let path = given.path("bundle").unwrap_or_else(|| ".".into()).join("config.json");
    let failed = |error: std::io::Error| Error::File {
        operation: "write".into(),
        path: path.clone(),
        source: error.into(),
    };
    let mut spec = starter(unified).map_err(|error| failed(error.into()))?;
    if given.on("rootless")? {
        without_privileges(
            &mut spec,
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
    }
    // Nobody's work is overwritten.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::Usage { reason: "File config.json exists. Remove it first".into() });
        }
        opened => opened.map_err(failed)?,
    };
    let mut text = serde_json::to_vec_pretty(&spec).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    file.write_all(&text).map_err(failed)?;
    Ok(0)
}

/// With a cgroup namespace where that hides the host's hierarchy, which it does in version 2 only.
fn starter(unified: bool) -> serde_json::Result<Value> {
    let mut spec: Value = serde_json::from_str(include_str!("spec/config.json"))?;
    spec["ociVersion"] = NEWEST.into();
    if unified && let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
        namespaces.push(json!({"type": "cgroup"}));
    }
    Ok(spec)
}

/// A user namespace in which `uid` and `gid` are root, and nothing that its owner has no right to.
fn without_privileges(spec: &mut Value, uid: u32, gid: u32) {
    let linux = &mut spec["linux"];
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    linux["uidMappings"] = json!([{"hostID": uid, "containerID": 0, "size": 1}]);
    linux["gidMappings"] = json!([{"hostID": gid, "containerID": 0, "size": 1}]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    for mount in spec["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            // Only the owner of a network namespace may mount a sysfs.
            let options = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
            *mount = json!({"destination": "/sys", "type": "none", "source": "/sys", "options": options});
        }
        if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            options.retain(|option| option.as_str().is_none_or(|text| !text.starts_with("gid=")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(spec: &Value) -> Vec<&str> {
        spec["linux"]["namespaces"].as_array().unwrap().iter().map(|n| n["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_cgroup_namespace_belongs_to_version_2() {
        let five = ["pid", "network", "ipc", "uts", "mount"];
        assert_eq!(kinds(&starter(false).unwrap()), five);
        assert_eq!(kinds(&starter(true).unwrap())[..5], five);
        assert_eq!(kinds(&starter(true).unwrap())[5..], ["cgroup"]);
    }

    #[test]
    fn nothing_in_it_is_left_out_by_who_reads_it() {
        let mut spec = starter(true).unwrap();
        for _ in 0..2 {
            let (read, warnings) = crate::document::spec(spec.to_string().as_bytes()).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            let again = serde_json::to_value(&read).unwrap();
            for part in ["ociVersion", "hostname", "root", "mounts"] {
                assert_eq!(again[part], spec[part], "{part}");
            }
            without_privileges(&mut spec, 1000, 1001);
        }
        assert_eq!(kinds(&spec), ["pid", "ipc", "uts", "mount", "cgroup", "user", "user"]);
        assert_eq!(spec["linux"]["gidMappings"][0]["hostID"], 1001);
        let text = spec.to_string();
        assert!(!text.contains("gid=5") && !text.contains("resources") && text.contains("rbind"), "{text}");
    }
}
