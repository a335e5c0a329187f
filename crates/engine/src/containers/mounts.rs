//! The sources of a container's mounts: volumes made when it is created, directories made and parts of volumes
//! looked up when it starts.

use std::os::fd::AsFd;
use std::path::Path;

use barge_api::containers::{MountPoint, MountType};
use barge_store::Snapshot;

use super::document::{Filesystem, MountRecord};
use super::spec::mount_points::{Missing, Source, Wanted};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::volumes::{self, Acquired, VolumeRequest};

/// Mounts of a new container. The volumes are held until this is dropped, by when the container must be known.
pub(super) struct Made {
    pub(super) records: Vec<MountRecord>,
    /// Volumes with where the image's content for them is.
    acquired: Vec<(Acquired, Option<String>)>,
}

/// Looks at the sources of binds, finds or makes volumes.
///
/// # Errors
/// Invalid, with Docker's text, for a source that is missing.
pub(super) fn make(engine: &Engine, wanted: Vec<Wanted>) -> Result<Made> {
    let mut made = Made { records: Vec::new(), acquired: Vec::new() };
    for mount in wanted {
        if let Err(error) = made.add(engine, mount) {
            made.discard(engine);
            return Err(error);
        }
    }
    Ok(made)
}

impl Made {
    fn add(&mut self, engine: &Engine, mount: Wanted) -> Result<()> {
        let mut record = MountRecord {
            point: MountPoint {
                destination: mount.destination,
                mode: mount.mode,
                rw: !mount.read_only,
                propagation: mount.propagation,
                ..MountPoint::default()
            },
            bind: mount.bind,
            ..MountRecord::default()
        };
        match mount.source {
            Source::Bind { path, missing } => {
                if missing == Missing::Refuse && !Path::new(&path).exists() {
                    return Err(Error::invalid(format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {path}"
                    )));
                }
                record.create_source = missing == Missing::Create;
                (record.point.kind, record.point.source) = (MountType::Bind, path);
            }
            Source::Tmpfs { options, unlisted } => {
                record.point.kind = MountType::Tmpfs;
                record.unlisted = unlisted;
                record.tmpfs_options = options;
            }
            Source::Volume { name, options } => {
                let driver = options.driver_config.unwrap_or_default();
                let request = VolumeRequest {
                    name,
                    driver: driver.name,
                    options: driver.options,
                    labels: options.labels,
                };
                let volume = engine.volumes.acquire(engine, &request)?;
                record.point.kind = MountType::Volume;
                record.point.name.clone_from(&volume.name);
                record.point.driver.clone_from(&volume.driver);
                record.point.source = volume.path.to_string_lossy().into_owned();
                record.subpath = options.subpath;
                record.anonymous = request.name.is_none();
                if let volumes::Source::Filesystem { kind, device, options } = &volume.source {
                    record.filesystem = Some(Filesystem {
                        kind: kind.clone(),
                        device: device.clone(),
                        options: options.clone(),
                    });
                }
                let copied =
                    (!options.no_copy && record.subpath.is_empty()).then(|| record.point.destination.clone());
                self.acquired.push((volume, copied));
            }
        }
        self.records.push(record);
        Ok(())
    }

    /// Copies what the image has at a volume's place into each volume that is empty.
    pub(super) fn populate(&self, engine: &Engine, snapshot: &Snapshot) -> Result<()> {
        let mut root = None;
        for (volume, destination) in &self.acquired {
            let Some(destination) = destination else { continue };
            if root.is_none() {
                let failed = Error::failed("opening the root filesystem");
                root = Some(snapshot.mount_detached().map_err(failed)?);
            }
            if let Some(root) = &root {
                engine.volumes.populate(volume, root.as_fd(), Path::new(destination))?;
            }
        }
        Ok(())
    }

    /// The container will not be: what was made for it alone goes.
    pub(super) fn discard(self, engine: &Engine) {
        let made: Vec<String> = self
            .acquired
            .iter()
            .filter(|(volume, _)| volume.created && volume.anonymous)
            .map(|(volume, _)| volume.name.clone())
            .collect();
        drop(self);
        for name in made {
            if let Err(error) = engine.volumes.remove_anonymous(engine, &name) {
                tracing::warn!(name, %error, "a volume could not be removed");
            }
        }
    }
}

/// Makes missing source directories and looks up parts of volumes, before a start.
///
/// # Errors
/// Invalid or system, if a source is not there.
pub(super) fn ready(mounts: &[MountRecord]) -> Result<()> {
    for mount in mounts {
        if mount.point.kind == MountType::Bind && mount.create_source {
            make_source(Path::new(&mount.point.source))?;
        }
        if !mount.subpath.is_empty() {
            below(&mount.point.source, &mount.path())?;
        }
    }
    Ok(())
}

fn make_source(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let failed = format!("error while creating mount source path '{}'", path.display());
    std::fs::create_dir_all(path).map_err(Error::failed(failed))
}

/// What is in a volume is a container's work: a link there must not lead out of it.
fn below(volume: &str, part: &str) -> Result<()> {
    let real = |path: &str| {
        Path::new(path).canonicalize().map_err(|error| {
            let subpath = part.strip_prefix(volume).unwrap_or(part).trim_start_matches('/');
            Error::invalid(format!("cannot access path {subpath}: {error}"))
        })
    };
    if real(part)?.starts_with(real(volume)?) {
        return Ok(());
    }
    Err(Error::invalid("subpath must be a relative path within the volume"))
}
