//! Words that the OCI specifications define: digest, reference, platform, manifest, config, runtime spec. No I/O.
//!
//! ```text
//! docker.io/library/busybox:1.37   reference.rs
//!        └─> index      ─┐
//!              └─> manifest (manifest.rs), chosen by platform.rs
//!                    ├─> config (image_config.rs): what a container starts with, diff ids
//!                    └─> layers: blobs named by digest.rs
//! ```
//!
//! Everything parsed here comes from strangers: sizes and counts are bounded. A manifest is parsed
//! and never written back: its digest is that of the bytes received. The types that *are* written
//! (`Manifest::build`, `ImageConfig` for new images) are for images that Barge itself makes.

pub mod digest;
pub mod error;
pub mod image_config;
pub mod manifest;
pub mod platform;
pub mod reference;
/// The runtime specification's types, as the `oci-spec` crate has them.
pub use oci_spec::runtime as runtime_spec;

pub use digest::{Digest, Hasher};
pub use error::Error;
pub use image_config::{ContainerDefaults, ImageConfig, chain_ids};
pub use manifest::{Descriptor, Index, Manifest};
pub use platform::Platform;
pub use reference::Reference;
