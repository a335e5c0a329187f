//! The store on the real kernel: overlay, extended attributes and device nodes need root and a disk file system.
#![allow(clippy::unwrap_used)]

mod apply;
mod archive;
mod blobs;
mod crash;
mod diff;
mod hostile;
mod images;
mod roundtrip;
mod snapshots;
mod support;
