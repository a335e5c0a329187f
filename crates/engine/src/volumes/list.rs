//! Which volumes there are, and how much they hold.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use barge_api::Filters;
use barge_api::volumes::{Volume, VolumeList, VolumeUsage};

use super::Volumes;
use crate::error::{Error, Result};

impl Volumes {
    /// Volumes that pass the filters, by name. `users` tells how many containers use one.
    pub fn list(&self, filters: &Filters, users: impl Fn(&str) -> usize) -> Result<VolumeList> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(&["dangling", "driver", "label", "name"]).map_err(invalid)?;
        let dangling = filters.boolean("dangling").map_err(invalid)?;
        let volumes: Vec<Volume> =
            self.entries().values().map(|entry| self.describe(&entry.document)).collect();
        let passes = |volume: &Volume| {
            filters.exact("driver", &volume.driver)
                && filters.any("name", |part| volume.name.contains(part))
                && filters.labels("label", &volume.labels)
                && dangling.is_none_or(|dangling| dangling == (users(&volume.name) == 0))
        };
        Ok(VolumeList { volumes: volumes.into_iter().filter(passes).collect(), warnings: Vec::new() })
    }

    /// All volumes with their size and number of users. Walks every file: run it where blocking is allowed.
    pub fn usage(&self, users: impl Fn(&str) -> usize) -> Vec<Volume> {
        let mut volumes: Vec<Volume> =
            self.entries().values().map(|entry| self.describe(&entry.document)).collect();
        for volume in &mut volumes {
            // What a remote or other file system holds is not this host's disk.
            let size = if volume.options.is_empty() { disk_size(&self.data(&volume.name)) } else { 0 };
            let ref_count = i64::try_from(users(&volume.name)).unwrap_or(i64::MAX);
            volume.usage_data =
                Some(VolumeUsage { ref_count, size: i64::try_from(size).unwrap_or(i64::MAX) });
        }
        volumes
    }
}

/// Bytes of all files under a directory, each inode once. Files that vanish meanwhile count nothing.
pub(super) fn disk_size(root: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut total = 0;
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino())) {
                total += metadata.len();
            }
        }
    }
    total
}
