//! Layers applied to directories of their own.

use crate::error::Result;
use barge_oci::Digest;
use std::io::Read;
use std::sync::Arc;

/// The applied layers of one data root.
#[derive(Debug, Clone)]
pub struct Layers(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

impl Layers {
    /// Whether the layer with that chain id has been applied.
    pub fn contains(&self, chain_id: &Digest) -> bool {
        todo!("{chain_id}")
    }

    /// Extracts one layer into its own directory.
    ///
    /// `reader` gives the blob's (compressed) bytes, `chain` are the diff ids of the image up to and
    /// including this layer, `progress` is told how many bytes of `reader` have been used so far.
    /// Safe to call for the layers of one image in parallel and in any order; idempotent; of two equal
    /// calls at once one works and the other waits (its reader is not read).
    ///
    /// # Errors
    /// Fails if the stream cannot be read, is no valid layer, does not hash to `diff_id`, or cannot be
    /// written. Nothing is left behind then.
    pub fn apply(
        &self,
        reader: impl Read,
        media_type: &str,
        diff_id: &Digest,
        chain: &[Digest],
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let _ = (reader, media_type, diff_id, chain, progress);
        todo!()
    }

    /// The bytes of all regular files of a layer.
    ///
    /// # Errors
    /// Fails if the layer is not here.
    pub fn size(&self, chain_id: &Digest) -> Result<u64> {
        todo!("{chain_id}")
    }
}
