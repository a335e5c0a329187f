//! `GET /system/df`: where the disk space went.

use std::sync::Arc;

use barge_api::Filters;
use barge_api::containers::ContainerSummary;
use barge_api::images::ImageSummary;
use barge_api::system::{DiskUsage, Usage};
use barge_api::volumes::Volume;

use super::System;
use crate::containers::ListOptions;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Which objects are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    pub containers: bool,
    pub images: bool,
    pub volumes: bool,
    pub build_cache: bool,
}

impl Objects {
    pub const ALL: Self = Self { containers: true, images: true, volumes: true, build_cache: true };
    pub const NONE: Self = Self { containers: false, images: false, volumes: false, build_cache: false };
}

impl System {
    /// Sums with all their items. Walks the files of what is asked about.
    pub async fn disk_usage(&self, engine: &Arc<Engine>, objects: Objects) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if objects.containers {
            let options = ListOptions { all: true, size: true, ..ListOptions::default() };
            usage.container_usage = Some(containers(engine.containers.list(engine, options).await?));
        }
        if objects.images {
            let options =
                crate::images::ListOptions { all: false, shared_size: true, filters: Filters::default() };
            let mut items = engine.images.list(options).await?;
            for item in &mut items {
                item.containers = length(&engine.containers.users_of_image(&item.id));
            }
            usage.image_usage = Some(images(items));
        }
        if objects.volumes {
            let engine = Arc::clone(engine);
            let work = move || engine.volumes.usage(|name| engine.containers.users_of_volume(name).len());
            let items = tokio::task::spawn_blocking(work).await;
            usage.volume_usage = Some(volumes(items.map_err(Error::failed("measuring volumes"))?));
        }
        usage.build_cache_usage = objects.build_cache.then(Usage::default);
        Ok(usage)
    }
}

fn containers(items: Vec<ContainerSummary>) -> Usage<ContainerSummary> {
    let active =
        |item: &&ContainerSummary| matches!(item.state.as_str(), "running" | "paused" | "restarting");
    Usage {
        active_count: count(items.iter().filter(active)),
        total_count: count(items.iter()),
        reclaimable: items.iter().filter(|item| !active(item)).map(|item| item.size_rw).sum(),
        total_size: items.iter().map(|item| item.size_rw).sum(),
        items,
    }
}

/// Layers that several images share are counted once, with the image that comes first.
fn images(items: Vec<ImageSummary>) -> Usage<ImageSummary> {
    let unique = |item: &ImageSummary| item.size - item.shared_size.max(0);
    let shared = items.iter().map(|item| item.shared_size.max(0)).max().unwrap_or(0);
    Usage {
        active_count: count(items.iter().filter(|item| item.containers > 0)),
        total_count: count(items.iter()),
        reclaimable: items.iter().filter(|item| item.containers == 0).map(unique).sum(),
        total_size: items.iter().map(unique).sum::<i64>() + shared,
        items,
    }
}

fn volumes(items: Vec<Volume>) -> Usage<Volume> {
    let users = |item: &Volume| item.usage_data.as_ref().map_or(0, |usage| usage.ref_count);
    let size = |item: &Volume| item.usage_data.as_ref().map_or(0, |usage| usage.size.max(0));
    Usage {
        active_count: count(items.iter().filter(|item| users(item) > 0)),
        total_count: count(items.iter()),
        reclaimable: items.iter().filter(|item| users(item) == 0).map(size).sum(),
        total_size: items.iter().map(size).sum(),
        items,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

fn length<T>(items: &[T]) -> i64 {
    count(items.iter())
}

#[cfg(test)]
mod tests {
    use barge_api::volumes::VolumeUsage;

    use super::*;

    #[test]
    fn what_nobody_uses_is_reclaimable() {
        let volume = |ref_count, size| Volume {
            usage_data: Some(VolumeUsage { ref_count, size }),
            ..Volume::default()
        };
        let usage = volumes(vec![volume(1, 10), volume(0, 5)]);
        assert_eq!((usage.active_count, usage.total_count), (1, 2));
        assert_eq!((usage.reclaimable, usage.total_size), (5, 15));
        let container = |state: &str| ContainerSummary {
            state: state.to_owned(),
            size_rw: 3,
            ..ContainerSummary::default()
        };
        assert_eq!(containers(vec![container("running"), container("exited")]).reclaimable, 3);
    }
}
