//! Kernel parameters of a container, each with the namespace that keeps it from being the host's. Pure.

use barge_oci::runtime_spec::Linux;
use barge_sys::namespace::kind;

use super::invalid;
use crate::error::Result;

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sysctl {
    /// Below `/proc/sys`.
    pub(crate) path: String,
    pub(crate) value: String,
    /// `CLONE_NEW*` of the namespace that it belongs to.
    pub(crate) namespace: u64,
}

/// Parameters of IPC namespaces, of sysvipc(7); those of POSIX message queues are a directory.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// The specification's parameters, in the order of their names.
pub(super) fn of(linux: &Linux) -> Result<Vec<Sysctl>> {
    let all = linux.sysctl().iter().flatten().map(|(key, value)| {
        let path = path(key);
        let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let namespace = namespace(&path).filter(|_| plain);
        let namespace = namespace.ok_or_else(|| {
            invalid("linux.sysctl", format!("{key:?} is not in a separate kernel namespace"))
        })?;
        Ok(Sysctl { path, value: value.clone(), namespace })
    });
    let mut out = all.collect::<Result<Vec<_>>>()?;
    out.sort();
    Ok(out)
}

/// `net.ipv4.ip_forward` is a file in directories; a key may also be written with slashes, then dots are its own
/// (`net/ipv4/conf/eth0.100/forwarding`), as sysctl(8) has it.
fn path(key: &str) -> String {
    let first = key.find(['.', '/']).and_then(|at| key.as_bytes().get(at));
    if first == Some(&b'/') {
        return key.to_owned();
    }
    let swapped = key.chars().map(|letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    swapped.collect()
}

/// Everything else would be the host's.
fn namespace(path: &str) -> Option<u64> {
    match path {
        _ if path.starts_with("net/") => Some(kind::NET),
        _ if path.starts_with("fs/mqueue/") || IPC.contains(&path) => Some(kind::IPC),
        "kernel/domainname" | "kernel/hostname" => Some(kind::UTS),
        // Limits of the user namespace that they are set in.
        _ if path.starts_with("user/") => Some(kind::USER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_paths_with_their_namespace() {
        let cases = [
            ("net.ipv4.ip_forward", Some(("net/ipv4/ip_forward", kind::NET))),
            ("net/ipv4/conf/eth0.100/forwarding", Some(("net/ipv4/conf/eth0.100/forwarding", kind::NET))),
            ("net.ipv4.conf.eth0/100.forwarding", Some(("net/ipv4/conf/eth0.100/forwarding", kind::NET))),
            ("kernel.shmmax", Some(("kernel/shmmax", kind::IPC))),
            ("fs.mqueue.msg_max", Some(("fs/mqueue/msg_max", kind::IPC))),
            ("kernel.domainname", Some(("kernel/domainname", kind::UTS))),
            ("user.max_net_namespaces", Some(("user/max_net_namespaces", kind::USER))),
            ("kernel.panic", None),
            ("vm.overcommit_memory", None),
            ("net/../../self/attr", None),
            ("net..x", None),
        ];
        for (key, expected) in cases {
            let json = serde_json::json!({"sysctl": {key: "1"}}).to_string();
            let linux: Linux = serde_json::from_str(&json).unwrap();
            let found = of(&linux).ok();
            let found = found.as_ref().map(|list| (list[0].path.as_str(), list[0].namespace));
            assert_eq!(found, expected, "{key}");
        }
    }
}
