//! `features`: what this runtime can do, in the runtime specification's own document.

use serde_json::json as document;

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
    let capabilities: Vec<String> = caps::all().into_iter().map(|c| c.to_string()).collect();
    let features = document!({
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
    });
    print(&json(&features)?)
}
