//! `features`: what this runtime can do, in the runtime specification's own document.

use serde_json::{Value, json as document};

use super::flags::{Given, Syntax};
use super::{Globals, Verb, json, print};
use crate::error::Result;
use crate::plan::mount;
use crate::seccomp::ARCHITECTURES;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "features",
        about: "Print what this runtime can do as JSON",
        words: "",
        count: (0, 0),
        open: false,
        flags: &[],
    },
    features,
);

/// The newest version of the runtime specification that is implemented.
pub(super) const NEWEST: &str = "1.3.0";

fn features(_: &Globals, _: &Given) -> Result<u8> {
    print(&json(&all())?)
}

fn all() -> Value {
    let capabilities: Vec<String> = caps::all().into_iter().map(|c| c.to_string()).collect();
    document!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": NEWEST,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"
        ],
        "mountOptions": mount::OPTIONS.as_slice(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": [
                    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"
                ],
                "operators": [
                    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                    "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"
                ],
                "archs": ARCHITECTURES.as_slice(),
                "knownFlags": [
                    "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
                ],
                "supportedFlags": [
                    "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
                ]
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": [
                    "MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                    "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"
                ],
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]
            },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true }
        },
        "annotations": {
            "org.opencontainers.runc.checkpoint.enabled": "true",
            "org.opencontainers.runc.version": env!("CARGO_PKG_VERSION")
        },
        // What decides which properties a unit gets, and which programs CRIU starts.
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "org.criu.config"]
    })
}

#[cfg(test)]
mod tests {
    use barge_oci::runtime_spec::{Process, Spec};

    use super::*;
    use crate::plan::process::CapabilityPlan;

    fn list(pointer: &str) -> Vec<String> {
        let names = all().pointer(pointer).and_then(Value::as_array).cloned().unwrap();
        assert!(!names.is_empty(), "{pointer}");
        names.into_iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Whether a specification with this `linux` section is read.
    #[track_caller]
    fn is_read(linux: Value) {
        let text = document!({"ociVersion": NEWEST, "linux": linux}).to_string();
        let read = serde_json::from_str::<Spec>(&text);
        assert!(read.is_ok(), "{text}: {read:?}");
    }

    #[test]
    fn what_is_told_is_read() {
        for name in list("/linux/namespaces") {
            is_read(document!({"namespaces": [{"type": name}]}));
        }
        for name in list("/linux/seccomp/actions") {
            is_read(document!({"seccomp": {"defaultAction": name}}));
        }
        for name in list("/linux/seccomp/operators") {
            let rule = document!({"names": ["read"], "action": "SCMP_ACT_LOG",
                                  "args": [{"index": 0, "value": 0, "op": name}]});
            is_read(document!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}}));
        }
        for name in list("/linux/seccomp/knownFlags").into_iter().chain(list("/linux/seccomp/supportedFlags"))
        {
            is_read(document!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": [name]}}));
        }
        for name in list("/linux/memoryPolicy/modes") {
            is_read(document!({"memoryPolicy": {"mode": name}}));
        }
        for name in list("/linux/memoryPolicy/flags") {
            is_read(document!({"memoryPolicy": {"mode": "MPOL_BIND", "flags": [name]}}));
        }
    }

    #[test]
    fn every_hook_and_capability_is_read() {
        let hooks: serde_json::Map<String, Value> =
            list("/hooks").into_iter().map(|name| (name, document!([{"path": "/x"}]))).collect();
        let spec: Spec = serde_json::from_value(document!({"hooks": hooks})).unwrap();
        // Each that was read is written again.
        let written = serde_json::to_value(spec.hooks()).unwrap();
        assert_eq!(written, Value::Object(hooks));
        let names = list("/linux/capabilities");
        let process: Process =
            serde_json::from_value(document!({"cwd": "/", "user": {}, "capabilities": {"bounding": names}}))
                .unwrap();
        let sets = CapabilityPlan::of(process.capabilities().as_ref().unwrap());
        assert_eq!(sets.bounding.count_ones() as usize, names.len());
    }
}
