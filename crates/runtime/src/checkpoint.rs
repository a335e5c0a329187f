//! Checkpoint and restore of a running container, done by CRIU (`criu`, a program of its own).
//!
//! ```text
//! dump     container runs ──> CRIU stops it and writes images ──> it is gone, or runs on
//!          we say: which mounts, namespaces and descriptors come from outside
//! restore  images ──> CRIU makes the processes, as children of ours, in a cgroup of ours ──> container runs
//!          we say: what stands for each of those now
//! ```
//!
//! What a container *is* (state, cgroup) stays with the caller: `command/checkpoint.rs` and `command/restore.rs`. The
//! names in the images are runc's, so that either can restore what the other has saved, unless a mount's destination
//! leads through a symbolic link.

mod descriptors;
pub(crate) mod dump;
mod external;
mod log;
mod mount_table;
mod options;
mod places;
pub(crate) mod restore;
mod rpc;
mod service;

pub(crate) use options::{Options, page_server};
pub(crate) use rpc::CgroupMode;

use barge_oci::runtime_spec::Linux;
use barge_sys::namespace::kind;

use crate::error::{Error, Result};
use crate::plan::namespaces::Namespaces;

/// The namespaces of a container that can be saved: its mounts have to be told from those of others.
fn namespaces_of(linux: &Linux) -> Result<Namespaces> {
    let namespaces = Namespaces::of(linux)?;
    if namespaces.new & kind::MOUNT == 0 {
        let reason = "a container without a mount namespace of its own can't be saved or restored".into();
        return Err(Error::CriuUnusable { reason });
    }
    Ok(namespaces)
}
