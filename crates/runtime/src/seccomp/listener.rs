//! Who decides on the system calls that a profile leaves open (`SCMP_ACT_NOTIFY`).
//!
//! ```text
//! new process: loads the filter, tells the number of its descriptor
//!     parent: pidfd_getfd ──> connects to listenerPath, sends the container process state with it, closes
//! new process: goes on
//! ```

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{LinuxSeccomp, LinuxSeccompAction, Spec};
use barge_sys::socket::send_with_fds;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use serde_json::json;

use crate::error::{Error, Result};

/// The container that a process with a filter belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) id: &'a str,
    pub(crate) bundle: &'a Path,
    /// `None` while the container is made: then the process is the init.
    pub(crate) init_pid: Option<i32>,
}

/// The socket to tell, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    path: PathBuf,
    metadata: Option<String>,
    id: String,
    bundle: PathBuf,
    init_pid: Option<i32>,
    version: String,
    annotations: serde_json::Value,
}

/// The most of the state that goes out with the descriptor, in the first packet.
const FIRST: usize = 16 * 1024;

fn refused(reason: &str) -> Error {
    Error::SeccompProfile { reason: reason.into() }
}

impl Listener {
    /// `None` for a profile that leaves nothing open.
    pub(super) fn of(profile: &LinuxSeccomp, owner: Owner<'_>) -> Result<Option<Self>> {
        let path = profile.listener_path().clone().filter(|path| !path.as_os_str().is_empty());
        let metadata = profile.listener_metadata().clone().filter(|text| !text.is_empty());
        if metadata.is_some() && path.is_none() {
            return Err(refused("listenerMetadata must not be set when listenerPath is not"));
        }
        if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
            return Err(refused("SCMP_ACT_NOTIFY cannot be used as default action"));
        }
        let rules = profile.syscalls().iter().flatten();
        let mut open = rules.filter(|rule| rule.action() == LinuxSeccompAction::ScmpActNotify).peekable();
        if open.peek().is_none() {
            return Ok(None);
        }
        if open.flat_map(|rule| rule.names()).any(|name| name == "write") {
            // It tells the parent of the listener.
            return Err(refused("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
        }
        let path = path.ok_or_else(|| refused("SCMP_ACT_NOTIFY needs a listenerPath"))?;
        Ok(Some(Self {
            path,
            metadata,
            id: owner.id.into(),
            bundle: owner.bundle.into(),
            init_pid: owner.init_pid,
            version: owner.spec.version().clone(),
            annotations: json!(owner.spec.annotations().clone().unwrap_or_default()),
        }))
    }

    /// Sends the descriptor `number` of a process with the state of its container.
    pub(crate) fn hand_over(&self, pid: i32, pidfd: &OwnedFd, number: i32) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::SeccompListener { path: self.path.clone(), source: error.into() };
        let fd =
            pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        let state = self.state(pid);
        let (first, rest) = state.split_at(state.len().min(FIRST));
        let mut socket = UnixStream::connect(&self.path).map_err(failed)?;
        send_with_fds(&socket, first, &[fd.as_fd()]).map_err(failed)?;
        socket.write_all(rest).map_err(failed)
    }

    /// The container process state (config-linux.md).
    fn state(&self, pid: i32) -> Vec<u8> {
        let status = if self.init_pid.is_some() { "running" } else { "creating" };
        let mut state = json!({
            "ociVersion": self.version,
            "fds": ["seccompFd"],
            "pid": pid,
            "state": {
                "ociVersion": self.version,
                "id": self.id,
                "status": status,
                "pid": self.init_pid.unwrap_or(pid),
                "bundle": self.bundle,
                "annotations": self.annotations,
            }
        });
        if let Some(metadata) = &self.metadata {
            state["metadata"] = json!(metadata);
        }
        state.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(profile: &str) -> Result<Option<Listener>> {
        let spec: Spec = serde_json::from_str(r#"{"ociVersion":"1.2.0","annotations":{"a":"b"}}"#).unwrap();
        let owner = Owner { spec: &spec, id: "x", bundle: Path::new("/b"), init_pid: Some(7) };
        Listener::of(&serde_json::from_str(profile).unwrap(), owner)
    }

    const OPEN: &str = r#""syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]"#;

    #[test]
    fn a_listener_is_told_of_process_and_container() {
        let profile = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/s","listenerMetadata":"m",{OPEN}}}"#
        );
        let listener = of(&profile).unwrap().unwrap();
        let state: serde_json::Value = serde_json::from_slice(&listener.state(9)).unwrap();
        let expected = json!({
            "ociVersion": "1.2.0", "fds": ["seccompFd"], "pid": 9, "metadata": "m",
            "state": {"ociVersion": "1.2.0", "id": "x", "status": "running", "pid": 7, "bundle": "/b",
                      "annotations": {"a": "b"}}
        });
        assert_eq!(state, expected);
    }

    #[test]
    fn profiles_that_nobody_could_decide_on_are_refused() {
        let nothing = r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/s"}"#;
        assert_eq!(of(nothing).unwrap(), None);
        for profile in [
            format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW",{OPEN}}}"#),
            r#"{"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/s"}"#.into(),
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"m"}"#.into(),
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/s",
                "syscalls":[{"names":["write"],"action":"SCMP_ACT_NOTIFY"}]}"#
                .into(),
        ] {
            assert!(of(&profile).is_err(), "{profile}");
        }
    }
}
