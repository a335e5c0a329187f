//! After a crash of the machine: layers that may not have reached the disk are extracted again from their blobs.
//!
//! Blobs are synced before they get their names, so they are whole. A suspect layer that no image names (its image
//! was removed while a container used it) can only be taken as it is.

use super::index::Record;
use crate::blobs::Blobs;
use crate::error::{Error, Result};
use crate::layers::Layers;
use crate::tree;
use barge_oci::manifest::{MAX_DOCUMENT, Parsed, parse};
use barge_oci::{Digest, ImageConfig, chain_ids};

/// Applies again what is suspect or missing of the image of `manifest`.
pub(super) fn heal(
    manifest: &Digest,
    suspects: &mut Vec<Digest>,
    blobs: &Blobs,
    layers: &Layers,
) -> Result<()> {
    let Parsed::Manifest(document) = parse(&blobs.read(manifest, MAX_DOCUMENT)?, "")? else { return Ok(()) };
    let config = ImageConfig::parse(&blobs.read(&document.config.digest, document.config.size)?)?;
    let diff_ids = &config.rootfs.diff_ids;
    for (place, (chain_id, layer)) in chain_ids(diff_ids).iter().zip(&document.layers).enumerate() {
        let is_suspect = suspects.contains(chain_id);
        if !is_suspect && layers.contains(chain_id) {
            continue;
        }
        tracing::warn!(%chain_id, "a layer that may be damaged or missing is extracted again");
        let blob = blobs.open(&layer.digest)?;
        if let Some(path) = layers.discard(chain_id)? {
            tree::remove_path(&path)?;
        }
        layers.apply(blob, &layer.media_type, &diff_ids[place], &diff_ids[..=place], &|_| {})?;
        suspects.retain(|suspect| suspect != chain_id);
    }
    Ok(())
}

/// Reads an image's record, mending its layers if need be.
pub(super) fn load(
    manifest: &Digest,
    suspects: &mut Vec<Digest>,
    blobs: &Blobs,
    layers: &Layers,
) -> Result<Record> {
    let record = Record::load(manifest, blobs, layers);
    let whole = match &record {
        Ok(record) => !record.chain.iter().any(|chain_id| suspects.contains(chain_id)),
        Err(Error::LayerNotFound { .. } | Error::Document { .. }) => false,
        Err(_) => return record,
    };
    if whole {
        return record;
    }
    heal(manifest, suspects, blobs, layers)?;
    Record::load(manifest, blobs, layers)
}

/// Takes the suspects that no image names as they are.
pub(super) fn trust_the_rest(suspects: &[Digest], layers: &Layers) -> Result<()> {
    for chain_id in suspects {
        tracing::warn!(%chain_id, "a layer without image was not synced before the machine went down");
        if let Err(error) = layers.trust(chain_id) {
            tracing::warn!(%chain_id, %error, "and cannot be read");
            layers.discard(chain_id)?.map_or(Ok(()), |path| tree::remove_path(&path))?;
        }
    }
    Ok(())
}
