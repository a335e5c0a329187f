//! Thin safe wrappers over Linux: the only crate with unsafe code.
