//! Which namespaces a container gets of its own and which it joins. Pure.

use std::collections::BTreeMap;
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
    /// The lines of `timens_offsets` of the new time namespace.
    pub(crate) offsets: String,
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
                Some(path) if !path.is_absolute() => {
                    return Err(invalid("linux.namespaces", format!("{path:?} is not absolute")));
                }
                Some(path) => out.join.push((kind, path)),
                None => out.new |= kind,
            }
        }
        // Its root would have no right to mount anything.
        if out.borrows_mounts() && out.separate(kind::USER) {
            let reason = "a container with a user namespace needs a mount namespace of its own";
            return Err(invalid("linux.namespaces", reason));
        }
        out.offsets = offsets(linux, out.new & kind::TIME != 0)?;
        Ok(out)
    }

    /// Whether the container is in a mount namespace of somebody else.
    pub(crate) fn borrows_mounts(&self) -> bool {
        self.new & kind::MOUNT == 0
    }

    /// Whether the container has a namespace of this kind that is not the host's.
    pub(crate) fn separate(&self, kind: u64) -> bool {
        self.new & kind != 0 || self.join.iter().any(|(joined, _)| *joined == kind)
    }
}

fn offsets(linux: &Linux, new: bool) -> Result<String> {
    let field = "linux.timeOffsets";
    let wanted = linux.time_offsets().iter().flatten().collect::<BTreeMap<_, _>>();
    if !wanted.is_empty() && !new {
        return Err(invalid(field, "time namespace offsets are only for a new time namespace"));
    }
    let mut out = String::new();
    for (clock, offset) in wanted {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(invalid(field, format!("{clock:?} is no clock of a time namespace")));
        }
        let nanoseconds = offset.nanosecs().unwrap_or(0);
        out.push_str(&format!("{clock} {} {nanoseconds}\n", offset.secs().unwrap_or(0)));
    }
    Ok(out)
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
            (r#"[{"type":"mount"},{"type":"uts","path":"proc/1/ns/uts"}]"#, None),
            (r#"[{"type":"mount"},{"type":"user","path":"/proc/9/ns/user"}]"#, Some((kind::MOUNT, 1))),
            (r#"[{"type":"pid"}]"#, Some((kind::PID, 0))),
            (r#"[{"type":"mount","path":"/proc/9/ns/mnt"}]"#, Some((0, 1))),
            (r#"[{"type":"user"}]"#, None),
            (r#"[{"type":"mount","path":"/a"},{"type":"user","path":"/b"}]"#, None),
        ];
        for (json, expected) in cases {
            let linux: Linux = serde_json::from_str(&format!(r#"{{"namespaces":{json}}}"#)).unwrap();
            let found = Namespaces::of(&linux).ok().map(|n| (n.new, n.join.len()));
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn offsets_are_for_known_clocks_of_a_new_time_namespace() {
        let of = |time: &str, offsets: &str| {
            let json = format!(r#"{{"namespaces":[{{"type":"mount"}}{time}],"timeOffsets":{offsets}}}"#);
            Namespaces::of(&serde_json::from_str(&json).unwrap()).map(|n| n.offsets).ok()
        };
        let new = r#",{"type":"time"}"#;
        let both = r#"{"monotonic":{"secs":-5},"boottime":{"secs":7,"nanosecs":9}}"#;
        assert_eq!(of(new, both).as_deref(), Some("boottime 7 9\nmonotonic -5 0\n"));
        assert_eq!(of(new, "{}").as_deref(), Some(""));
        assert_eq!(of("", both), None);
        assert_eq!(of(r#",{"type":"time","path":"/proc/1/ns/time"}"#, both), None);
        assert_eq!(of(new, r#"{"realtime":{"secs":1}}"#), None);
    }
}
