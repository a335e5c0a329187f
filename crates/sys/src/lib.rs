//! Thin safe wrappers over Linux: the only crate with unsafe code.

pub mod signal;
pub mod socket;
