//! From what a user types to an image: name, `name@digest`, id, or the unique beginning of an id.
//!
//! In Docker's order: a full id first, then names, then beginnings of ids. `beef` is the image called `beef` if
//! there is one, else the image whose id begins with beef.

use super::index::{Record, Records};
use crate::error::{Error, Result};
use barge_oci::{Digest, Reference};

/// Finds the record that `name` means.
pub(super) fn resolve<'a>(records: &'a Records, name: &str) -> Result<&'a Record> {
    if let Some(digest) = full_id(name) {
        return by_id(records, &digest).ok_or_else(|| Error::ImageNotFound { name: digest.to_string() });
    }
    let reference = Reference::parse_normalized(name)?;
    if let Some(record) = by_reference(records, &reference) {
        return Ok(record);
    }
    by_prefix(records, name)?.ok_or_else(|| Error::ImageNotFound { name: reference.familiar() })
}

/// The image that has exactly this name. A name with tag and digest means the digest, as in Docker.
pub(super) fn by_reference<'a>(records: &'a Records, reference: &Reference) -> Option<&'a Record> {
    match reference.digest() {
        Some(digest) => {
            let name = reference.with_digest(digest);
            records.values().find(|record| record.names.digests.contains(&name))
        }
        None => records.values().find(|record| record.names.tags.contains(reference)),
    }
}

/// The image with that id; if it came by several manifests, the one that was named last.
pub(super) fn by_id<'a>(records: &'a Records, id: &Digest) -> Option<&'a Record> {
    records.values().filter(|record| record.id.0 == *id).max_by_key(|record| record.names.last_tagged)
}

fn by_prefix<'a>(records: &'a Records, name: &str) -> Result<Option<&'a Record>> {
    let prefix = name.strip_prefix("sha256:").unwrap_or(name);
    if prefix.is_empty() || !prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(None);
    }
    let mut ids: Vec<Digest> =
        records.values().map(|record| record.id.0).filter(|id| id.hex().starts_with(prefix)).collect();
    ids.sort();
    ids.dedup();
    match ids[..] {
        [] => Ok(None),
        [id] => Ok(by_id(records, &id)),
        _ => Err(Error::ImageAmbiguous { name: name.to_owned() }),
    }
}

fn full_id(name: &str) -> Option<Digest> {
    name.parse().ok().or_else(|| Digest::from_hex(name).ok())
}
