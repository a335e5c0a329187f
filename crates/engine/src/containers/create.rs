//! Create: from a request and an image to a container that can be started.
//!
//! ```text
//! image ─ spec::resolve ─ name ─┬─ directory ─ root filesystem ─ volumes (filled from the image) ─ container.json
//!                               └─ known to all ─ event
//! ```
//!
//! The document is written last: a crash before it leaves nothing that counts, and the next daemon erases the rest.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use barge_api::containers::{CreateRequest, CreateResponse, HostConfig, NetworkingConfig};
use barge_api::descriptor::Descriptor;
use barge_api::events::action;
use barge_api::networks::EndpointSettings;
use barge_oci::{Platform, Reference};
use barge_store::Image;

use super::document::{Document, MountRecord, New};
use super::spec::host::Host;
use super::spec::mount_points::{self, Wanted};
use super::spec::{self, Checked};
use super::task::{self, Container};
use super::{Containers, mounts, names};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::undo::Undo;

/// When a new container's document is flushed to the disk.
const SYNC_AFTER: Duration = Duration::from_secs(1);

impl Containers {
    /// Makes a container from an image; 404 `No such image: NAME` if the store lacks it.
    pub async fn create(
        &self,
        engine: &Arc<Engine>,
        name: Option<&str>,
        platform: Option<&str>,
        request: CreateRequest,
    ) -> Result<CreateResponse> {
        let name = name.filter(|name| !name.is_empty()).map(names::check).transpose()?;
        let mut warnings = Vec::new();
        let networking = request.networking_config.clone();
        let image = image(engine, &request.config.image, platform, &mut warnings).await?;
        let mut checked = spec::resolve(request, &image.config.config, &engine.config, Host::here())?;
        warnings.append(&mut checked.warnings);
        self.name_shared(&mut checked.host_config);
        let networks = networks(&mut checked, networking);
        let wanted = mount_points::collect(
            &checked.config,
            &checked.host_config,
            self.inherited(&checked.host_config)?,
        )?;
        let id = names::new_id();
        fill_hostname(&mut checked, &id);
        let name = match name {
            Some(name) => self.index.reserve(name, &id).map(|()| name.to_owned())?,
            None => self.index.reserve_random(&id)?,
        };
        let new = New {
            id: id.clone(),
            name: name.clone(),
            image: image.id.to_string(),
            image_manifest: Some(descriptor(&image)),
            config: checked.config,
            host_config: checked.host_config,
            networks,
            mounts: Vec::new(),
        };
        let helper = Arc::clone(engine);
        let built = tokio::task::spawn_blocking(move || build(&helper, new, &image, wanted)).await;
        let built = built.map_err(Error::failed("creating a container")).and_then(|built| built);
        let (document, made) = built.inspect_err(|_| self.index.release(&name, &id))?;
        task::announce(engine, &document, action::CREATE, &[]);
        let lasting = !document.host_config.auto_remove;
        self.index.insert(Container::spawn(engine, document, None));
        // From here on the container itself keeps its volumes from removal.
        drop(made);
        if lasting {
            let dir = engine.config.containers_dir().join(&id);
            tokio::spawn(async move {
                // A start that follows at once must not wait for the disk's journal.
                tokio::time::sleep(SYNC_AFTER).await;
                // A failure means that it is gone again already.
                let _ = tokio::task::spawn_blocking(move || Document::sync(&dir)).await;
            });
        }
        Ok(CreateResponse { id, warnings })
    }

    /// Mounts of the containers that `--volumes-from` names.
    fn inherited(&self, host_config: &HostConfig) -> Result<Vec<Wanted>> {
        let mut inherited = Vec::new();
        for text in &host_config.volumes_from {
            let (wanted, read_only) = mount_points::parse_volumes_from(text)?;
            let container = self.index.find(wanted).map_err(|error| Error::invalid(error.message()))?;
            let document = container.view().document;
            inherited.extend(
                document.mounts.iter().filter_map(|mount| mount_points::inherit(&mount.point, read_only)),
            );
        }
        Ok(inherited)
    }

    /// Other containers are kept by ID, so that the tie outlives a rename. One that is not there is told of at start.
    fn name_shared(&self, host_config: &mut HostConfig) {
        for mode in [&mut host_config.network_mode, &mut host_config.ipc_mode, &mut host_config.pid_mode] {
            let other = mode.strip_prefix("container:").and_then(|wanted| self.index.find(wanted).ok());
            if let Some(other) = other {
                *mode = format!("container:{}", other.id);
            }
        }
    }
}

/// Finds the image, for the platform if one is named.
async fn image(
    engine: &Engine,
    name: &str,
    platform: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Image> {
    let platform = platform.filter(|platform| !platform.is_empty()).map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Error::invalid(error.to_string()))?;
    let image = engine.images.resolve(name).await?;
    let own = image.config.platform();
    let host = Platform::host();
    match platform {
        Some(wanted) if !wanted.matches(&own) => {
            return Err(Error::not_found(format!(
                "image with reference {} was found but its platform ({own}) does not match the specified platform \
                 ({wanted})",
                familiar(name)
            )));
        }
        None if !host.matches(&own) => warnings.push(format!(
            "The requested image's platform ({own}) does not match the detected host platform ({host}) and no \
             specific platform was requested"
        )),
        _ => {}
    }
    Ok(image)
}

/// A name as Docker shows it, with its tag.
fn familiar(name: &str) -> String {
    Reference::parse_normalized(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

fn descriptor(image: &Image) -> Descriptor {
    Descriptor {
        media_type: image.manifest_media_type.clone(),
        digest: image.manifest.to_string(),
        size: i64::try_from(image.manifest_size).unwrap_or(i64::MAX),
        ..Descriptor::default()
    }
}

/// What is wanted of each network; the mode's own network if no other is named. Whether they exist shows at the
/// start, as in Docker: the CLI takes a 404 of a create for a missing image and pulls.
fn networks(
    checked: &mut Checked,
    networking: Option<NetworkingConfig>,
) -> BTreeMap<String, EndpointSettings> {
    let mode = checked.host_config.network_mode.clone();
    if mode.starts_with("container:") {
        return BTreeMap::new();
    }
    let asked = networking.map(|networking| networking.endpoints_config).unwrap_or_default();
    let mut networks: BTreeMap<String, EndpointSettings> = asked
        .into_iter()
        .map(|(name, settings)| {
            let name = if name == "default" { "bridge".to_owned() } else { name };
            (name, settings.unwrap_or_default())
        })
        .collect();
    networks.entry(mode.clone()).or_default();
    if mode == "host" || mode == "none" {
        networks.retain(|name, _| *name == mode);
    }
    let mac_address = std::mem::take(&mut checked.config.mac_address);
    if let Some(endpoint) = networks.get_mut(&mode).filter(|endpoint| endpoint.mac_address.is_empty()) {
        endpoint.mac_address = mac_address;
    }
    networks
}

fn fill_hostname(checked: &mut Checked, id: &str) {
    let (config, host_config) = (&mut checked.config, &checked.host_config);
    if !config.hostname.is_empty() {
        return;
    }
    config.hostname = if host_config.network_mode == "host" || host_config.uts_mode == "host" {
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    } else {
        id[..12].to_owned()
    };
}

/// Makes everything there is of a container on the disk.
fn build(
    engine: &Arc<Engine>,
    new: New,
    image: &Image,
    wanted: Vec<Wanted>,
) -> Result<(Document, mounts::Made)> {
    let mut undo = Undo::new();
    let dir = engine.config.containers_dir().join(&new.id);
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o710).create(&dir).map_err(Error::failed(format!("making {}", dir.display())))?;
    let (helper, id) = (Arc::clone(engine), new.id.clone());
    undo.push("container", move || super::remove::erase(&helper, &id));
    let snapshot = engine
        .images
        .store()
        .snapshots()
        .prepare(&new.id, &image.chain)
        .map_err(Error::failed("preparing the root filesystem"))?;
    let made = mounts::make(engine, wanted)?;
    let finished = made.populate(engine, &snapshot).and_then(|()| {
        let mut document = Document::new(new);
        document.mounts.clone_from(&made.records);
        document.mounts.sort_by(|a: &MountRecord, b| a.point.destination.cmp(&b.point.destination));
        document.write(&dir).map(|()| document)
    });
    match finished {
        Ok(document) => {
            undo.commit();
            Ok((document, made))
        }
        Err(error) => {
            made.discard(engine);
            Err(error)
        }
    }
}
