//! Which namespaces a container gets of its own and which it joins. Pure.

use std::path::PathBuf;

use barge_oci::runtime_spec::{Linux, LinuxNamespaceType};
use barge_sys::namespace::kind;

use super::invalid;
use crate::error::Result;

/// The namespaces of a container. A kind that is in neither part is the host's.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Namespaces {
    /// `CLONE_NEW*` of those to make.
    pub(crate) new: u64,
    /// Those to join, with the file that names them.
    pub(crate) join: Vec<(u64, PathBuf)>,
}

impl Namespaces {
    pub(crate) fn of(linux: &Linux) -> Result<Self> {
        let mut out = Self::default();
        for namespace in linux.namespaces().iter().flatten() {
            let kind = kind_of(namespace.typ());
            if out.new & kind != 0 || out.join.iter().any(|(joined, _)| *joined == kind) {
                return Err(invalid("linux.namespaces", format!("{} appears twice", name(kind))));
            }
            match namespace.path().clone().filter(|path| !path.as_os_str().is_empty()) {
                Some(path) => out.join.push((kind, path)),
                None => out.new |= kind,
            }
        }
        // Its owner would have no right to the namespaces that are made here.
        if out.join.iter().any(|(kind, _)| *kind == kind::USER) {
            return Err(invalid("linux.namespaces", "another container's user namespace can't be joined"));
        }
        if out.new & kind::MOUNT == 0 {
            return Err(invalid("linux.namespaces", "a container needs a mount namespace of its own"));
        }
        Ok(out)
    }

    /// Whether the container has a namespace of this kind that is not the host's.
    pub(crate) fn separate(&self, kind: u64) -> bool {
        self.new & kind != 0 || self.join.iter().any(|(joined, _)| *joined == kind)
    }
}

fn kind_of(kind: LinuxNamespaceType) -> u64 {
    match kind {
        LinuxNamespaceType::Mount => kind::MOUNT,
        LinuxNamespaceType::Cgroup => kind::CGROUP,
        LinuxNamespaceType::Uts => kind::UTS,
        LinuxNamespaceType::Ipc => kind::IPC,
        LinuxNamespaceType::User => kind::USER,
        LinuxNamespaceType::Pid => kind::PID,
        LinuxNamespaceType::Network => kind::NET,
        LinuxNamespaceType::Time => kind::TIME,
    }
}

/// A kind's name in `/proc/PID/ns`.
pub(crate) fn name(kind: u64) -> &'static str {
    match kind {
        kind::MOUNT => "mnt",
        kind::CGROUP => "cgroup",
        kind::UTS => "uts",
        kind::IPC => "ipc",
        kind::USER => "user",
        kind::PID => "pid",
        kind::NET => "net",
        kind::TIME => "time",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_new_joined_or_the_hosts() {
        let cases = [
            (r#"[{"type":"mount"},{"type":"pid"}]"#, Some((kind::MOUNT | kind::PID, 0))),
            (r#"[{"type":"mount"},{"type":"network","path":"/proc/1/ns/net"}]"#, Some((kind::MOUNT, 1))),
            (r#"[{"type":"mount"},{"type":"ipc","path":""}]"#, Some((kind::MOUNT | kind::IPC, 0))),
            (r#"[{"type":"mount"},{"type":"mount"}]"#, None),
            (r#"[{"type":"mount"},{"type":"user","path":"/proc/1/ns/user"}]"#, None),
            (r#"[{"type":"pid"}]"#, None),
        ];
        for (json, expected) in cases {
            let linux: Linux = serde_json::from_str(&format!(r#"{{"namespaces":{json}}}"#)).unwrap();
            let found = Namespaces::of(&linux).ok().map(|n| (n.new, n.join.len()));
            assert_eq!(found, expected, "{json}");
        }
    }
}
