//! Becoming a container's program: what init and an added process have in common.
//!
//! ```text
//! streams      descriptors or a terminal from the container's own devpts
//! users        who the process is, from the container's passwd and group files (pure)
//! identity     limits, directory, groups, ids, capabilities, no-new-privileges, seccomp
//! program      finding the executable as a shell would, and becoming it
//! ```
//!
//! Everything here runs inside the container, after its root has become `/`.

pub(crate) mod identity;
pub(crate) mod program;
pub(crate) mod streams;
pub(crate) mod users;
