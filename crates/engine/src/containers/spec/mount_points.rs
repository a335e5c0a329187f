//! What a container wants mounted: `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes, brought
//! into one list with one entry a destination. Pure: volumes are made and sources looked at by `create.rs`.

use std::collections::BTreeMap;

use barge_api::containers::{
    BindOptions, ContainerConfig, HostConfig, Mount, MountPoint, MountType, TmpfsOptions, VolumeOptions,
};

use super::paths::{clean, is_local};
use crate::error::{Error, Result};

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

/// One mount as asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) destination: String,
    pub(crate) source: Source,
    pub(crate) read_only: bool,
    /// The option text of `-v`.
    pub(crate) mode: String,
    /// One of the six words; empty for what takes none.
    pub(crate) propagation: String,
    pub(crate) bind: BindOptions,
}

/// What is to be found at the destination.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A path of the host.
    Bind { path: String, missing: Missing },
    /// A volume; `None` makes an anonymous one.
    Volume { name: Option<String>, options: VolumeOptions },
    /// Mount options for a tmpfs; `--tmpfs` is not listed among the mounts.
    Tmpfs { options: String, unlisted: bool },
}

/// What to do if the source of a bind is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// `-v` makes a directory.
    Create,
    /// `--mount` fails.
    Refuse,
}

/// Collects the wanted mounts. `inherited` are the mounts of `--volumes-from` containers, in order.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn collect(
    config: &ContainerConfig,
    host_config: &HostConfig,
    inherited: Vec<Wanted>,
) -> Result<Vec<Wanted>> {
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut taken = std::collections::BTreeSet::new();
    let duplicate = |path: &str| Error::invalid(format!("Duplicate mount point: {path}"));
    for mount in inherited {
        wanted.insert(mount.destination.clone(), mount);
    }
    for (path, options) in &host_config.tmpfs {
        absolute_not_root(path)?;
        let destination = clean(path);
        let source = Source::Tmpfs { options: options.clone(), unlisted: true };
        taken.insert(destination.clone());
        wanted.insert(destination.clone(), plain(destination, source));
    }
    for bind in &host_config.binds {
        let mount = parse_bind(bind, &host_config.volume_driver)?;
        if !taken.insert(mount.destination.clone()) {
            return Err(duplicate(&mount.destination));
        }
        wanted.insert(mount.destination.clone(), mount);
    }
    for mount in &host_config.mounts {
        let mount = parse_mount(mount)?;
        if !taken.insert(mount.destination.clone()) {
            return Err(duplicate(&mount.destination));
        }
        wanted.insert(mount.destination.clone(), mount);
    }
    for path in config.volumes.keys() {
        absolute_not_root(path)?;
        let destination = clean(path);
        let options =
            VolumeOptions { driver_config: driver(&host_config.volume_driver), ..VolumeOptions::default() };
        let anonymous = plain(destination.clone(), Source::Volume { name: None, options });
        wanted.entry(destination).or_insert(anonymous);
    }
    Ok(wanted.into_values().collect())
}

fn plain(destination: String, source: Source) -> Wanted {
    let (mode, propagation) = (String::new(), String::new());
    Wanted { destination, source, read_only: false, mode, propagation, bind: BindOptions::default() }
}

fn driver(name: &str) -> Option<barge_api::containers::VolumeDriver> {
    let named =
        |name: &str| barge_api::containers::VolumeDriver { name: name.to_owned(), options: BTreeMap::new() };
    (!name.is_empty()).then(|| named(name))
}

fn absolute_not_root(path: &str) -> Result<()> {
    if clean(path) == "/" {
        return Err(Error::invalid("invalid specification: destination can't be '/'"));
    }
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("invalid mount path: '{path}' mount path must be absolute")));
    }
    Ok(())
}

/// The options of `-v`, each kind at most once.
#[derive(Debug, Default)]
struct Mode<'a> {
    access: Option<&'a str>,
    label: Option<&'a str>,
    propagation: Option<&'a str>,
    copy: Option<&'a str>,
    consistency: Option<&'a str>,
}

impl<'a> Mode<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut mode = Self::default();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let slot = match word {
                "rw" | "ro" => &mut mode.access,
                "z" | "Z" => &mut mode.label,
                "nocopy" => &mut mode.copy,
                "consistent" | "cached" | "delegated" => &mut mode.consistency,
                word if PROPAGATIONS.contains(&word) => &mut mode.propagation,
                _ => return None,
            };
            if slot.replace(word).is_some() {
                return None;
            }
        }
        Some(mode)
    }
}

/// Reads one `-v`: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:MODE`.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse_bind(raw: &str, volume_driver: &str) -> Result<Wanted> {
    let specification = || Error::invalid(format!("invalid volume specification: '{raw}'"));
    let parts: Vec<&str> = raw.splitn(4, ':').collect();
    let (source, target, mode) = match parts[..] {
        ["", ..] => return Err(specification()),
        [target] => ("", target, ""),
        // A target and a mode without a source is no volume.
        [_, mode] if Mode::parse(mode).is_some() => return Err(specification()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(specification()),
    };
    let words = Mode::parse(mode).ok_or_else(|| Error::invalid(format!("invalid mode: {mode}")))?;
    absolute_not_root(target).map_err(|error| {
        let kind = if source.starts_with('/') { "bind" } else { "volume" };
        Error::invalid(format!(
            "invalid volume specification: '{raw}': invalid mount config for type \"{kind}\": {}",
            error.message()
        ))
    })?;
    let read_only = words.access == Some("ro");
    let (source, propagation) = if source.starts_with('/') {
        let path = clean(source);
        (Source::Bind { path, missing: Missing::Create }, words.propagation.unwrap_or("rprivate"))
    } else {
        if words.propagation.is_some() {
            return Err(Error::invalid(format!(
                "invalid volume specification: '{raw}': invalid mount config for type \"volume\": \
                 field BindOptions must not be specified"
            )));
        }
        let options = VolumeOptions {
            no_copy: words.copy.is_some(),
            driver_config: driver(volume_driver),
            ..VolumeOptions::default()
        };
        (Source::Volume { name: (!source.is_empty()).then(|| source.to_owned()), options }, "")
    };
    let mode = if mode.is_empty() && matches!(source, Source::Volume { .. }) { "z" } else { mode };
    Ok(Wanted {
        destination: clean(target),
        source,
        read_only,
        mode: mode.to_owned(),
        propagation: propagation.to_owned(),
        bind: BindOptions::default(),
    })
}

/// Reads one `--mount`.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse_mount(mount: &Mount) -> Result<Wanted> {
    let kind = mount.kind.as_str();
    let refuse = |cause: &str| Error::invalid(format!("invalid mount config for type {kind:?}: {cause}"));
    let extra = |field: &str| Err(refuse(&format!("field {field} must not be specified")));
    if mount.kind != MountType::Bind && mount.bind_options.is_some() {
        return extra("BindOptions");
    }
    if mount.kind != MountType::Volume && mount.volume_options.is_some() {
        return extra("VolumeOptions");
    }
    if mount.kind != MountType::Image && mount.image_options.is_some() {
        return extra("ImageOptions");
    }
    if mount.kind != MountType::Tmpfs && mount.tmpfs_options.is_some() {
        return extra("TmpfsOptions");
    }
    if mount.target.is_empty() {
        return Err(refuse("field Target must not be empty"));
    }
    absolute_not_root(&mount.target).map_err(|error| refuse(error.message()))?;
    let mut wanted = plain(clean(&mount.target), Source::Tmpfs { options: String::new(), unlisted: false });
    wanted.read_only = mount.read_only;
    match mount.kind {
        MountType::Bind => {
            wanted.bind = mount.bind_options.clone().unwrap_or_default();
            (wanted.source, wanted.propagation) = bind_source(mount, &wanted.bind, &refuse)?;
        }
        MountType::Volume => {
            let options = mount.volume_options.clone().unwrap_or_default();
            let name = (!mount.source.is_empty()).then(|| mount.source.clone());
            if !options.subpath.is_empty() {
                if name.is_none() {
                    return Err(refuse("must not set Subpath when using anonymous volumes"));
                }
                if !is_local(&options.subpath) {
                    return Err(refuse("subpath must be a relative path within the volume"));
                }
            }
            wanted.mode = "z".to_owned();
            wanted.source = Source::Volume { name, options };
        }
        MountType::Tmpfs => {
            if !mount.source.is_empty() {
                return extra("Source");
            }
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let options = tmpfs_options(&options, mount.read_only).map_err(|cause| refuse(&cause))?;
            wanted.source = Source::Tmpfs { options, unlisted: false };
        }
        _ => return Err(refuse("mount type unknown")),
    }
    Ok(wanted)
}

fn bind_source(
    mount: &Mount,
    options: &BindOptions,
    refuse: &dyn Fn(&str) -> Error,
) -> Result<(Source, String)> {
    if mount.source.is_empty() {
        return Err(refuse("field Source must not be empty"));
    }
    let propagation = match options.propagation.as_str() {
        "" => "rprivate",
        word if PROPAGATIONS.contains(&word) => word,
        word => return Err(refuse(&format!("invalid propagation mode: {word}"))),
    };
    if !mount.source.starts_with('/') {
        let source = &mount.source;
        return Err(refuse(&format!("invalid mount path: '{source}' mount path must be absolute")));
    }
    if options.read_only_non_recursive && options.read_only_force_recursive {
        return Err(refuse("mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive"));
    }
    let missing = if options.create_mountpoint { Missing::Create } else { Missing::Refuse };
    Ok((Source::Bind { path: clean(&mount.source), missing }, propagation.to_owned()))
}

/// A tmpfs's mount options from those of `--mount`.
fn tmpfs_options(options: &TmpfsOptions, read_only: bool) -> Result<String, String> {
    let mut words = Vec::new();
    if read_only {
        words.push("ro".to_owned());
    }
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes != 0 {
        words.push(format!("size={}", options.size_bytes));
    }
    for option in &options.options {
        match option.as_slice() {
            [flag] if flag == "exec" || flag == "noexec" => words.push(flag.clone()),
            [name] | [name, _] => return Err(format!("invalid option: {name}")),
            _ => return Err("invalid option array length".to_owned()),
        }
    }
    Ok(words.join(","))
}

/// Reads one `--volumes-from`: the container and whether its mounts become read-only.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse_volumes_from(text: &str) -> Result<(&str, bool)> {
    if text.is_empty() {
        return Err(Error::invalid("volumes-from specification cannot be an empty string"));
    }
    let (container, mode) = text.split_once(':').unwrap_or((text, ""));
    match Mode::parse(mode) {
        Some(words) if words.propagation.is_none() && words.copy.is_none() => {
            Ok((container, words.access == Some("ro")))
        }
        _ => Err(Error::invalid(format!("invalid mode: {mode}"))),
    }
}

/// The mount of another container, as `--volumes-from` takes it over.
pub(crate) fn inherit(point: &MountPoint, read_only: bool) -> Option<Wanted> {
    let source = match point.kind {
        MountType::Bind => Source::Bind { path: point.source.clone(), missing: Missing::Create },
        MountType::Volume => Source::Volume {
            name: Some(point.name.clone()),
            options: VolumeOptions { no_copy: true, ..VolumeOptions::default() },
        },
        _ => return None,
    };
    Some(Wanted {
        destination: point.destination.clone(),
        source,
        read_only: read_only || !point.rw,
        mode: point.mode.clone(),
        propagation: point.propagation.clone(),
        bind: BindOptions::default(),
    })
}

#[cfg(test)]
#[path = "mount_points_tests.rs"]
mod tests;
