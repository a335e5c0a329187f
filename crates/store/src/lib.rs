//! Image storage: blobs, layers, snapshots, images, archives, garbage collection.
//!
//! ```text
//! <data root>/
//!   image/                     an OCI image layout that other tools can read   (blobs.rs, images.rs)
//!     oci-layout  index.json  blobs/sha256/<hex>  ingest/<hex>  .lock
//!   overlay/
//!     layers/<chain id>/{diff,layer.json}                                      (layers.rs)
//!     containers/<key>/{upper,work,snapshot.json}                              (snapshots.rs)
//!     staging/  trash/         not there yet, not there any more: emptied at open
//! ```
//!
//! What a stranger sent becomes visible only by one rename, after it was verified. An image is recorded
//! last, when everything it names is there. So `kill -9` at any instant leaves whole images and,
//! at worst, content that nothing names, which `gc.rs` takes away.
//!
//! Synchronous, `Send + Sync`, cheap to clone. Does not know Docker's API, registries or mounts of
//! a running container.

pub mod archive;
mod area;
pub mod blobs;
mod claims;
pub mod copy;
pub mod diff;
mod document;
pub mod error;
pub mod gc;
pub mod images;
pub mod layers;
pub mod snapshots;
mod store;
mod tar;
mod tree;
mod writeback;
mod xattrs;

pub use archive::{Import, Loaded, Packed};
pub use blobs::{Blobs, Ingest};
pub use diff::Change;
pub use error::{Error, Result};
pub use gc::{Lease, Reclaimed};
pub use images::{Image, ImageId, Images};
pub use layers::Layers;
pub use snapshots::{Snapshot, Snapshotter};
pub use store::Store;
