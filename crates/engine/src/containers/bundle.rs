//! The bundle of a run: `EXEC_ROOT/containers/ID/{config.json, shim.json}`, from which a shim is spawned.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use barge_shim::{Events, JsonFileConfig, LogConfig, Root, Shim, Stdin};

use super::document::Document;
use super::etc::Paths;
use super::spec::host::Host;
use super::spec::{log, oci};
use super::{mounts, network};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::undo::Undo;

/// Writes the files of a run and spawns its shim, which plans and makes cgroups while the network is built.
pub(super) fn prepare(engine: &Engine, document: &Document, undo: &mut Undo) -> Result<(Shim, Events)> {
    let shared = network::shared(engine, document)?;
    mounts::ready(&document.mounts)?;
    let paths = Paths::of(engine, document);
    let wants_init = document.host_config.init.unwrap_or(engine.config.init);
    let init = engine.config.init_program().to_string_lossy();
    let spec = oci::build(&oci::Inputs {
        document,
        host: Host::here(),
        shared,
        etc: &paths.mounts(),
        cgroup_parent: &engine.config.cgroup_parent,
        init: (wants_init && document.host_config.pid_mode.is_empty()).then_some(&init),
        no_new_privileges: engine.config.no_new_privileges,
        seccomp_profile: engine.config.seccomp_profile.as_deref(),
    })?;
    let bundle = engine.config.bundle(&document.id);
    make(&bundle)?;
    let again = bundle.clone();
    undo.push("bundle", move || remove(&again));
    let text = serde_json::to_vec(&spec).map_err(Error::failed("writing the specification"))?;
    std::fs::write(bundle.join("config.json"), text).map_err(Error::failed("writing the specification"))?;
    let failed = |error: barge_shim::Error| Error::system(format!("failed to create shim task: {error}"));
    shim_config(engine, document)?.save(&bundle).map_err(failed)?;
    Shim::spawn(&engine.config.exe, &bundle).map_err(failed)
}

fn make(bundle: &Path) -> Result<()> {
    // What an earlier run left belongs to nobody: its owner has seen it end.
    remove(bundle)?;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(bundle).map_err(Error::failed(format!("making {}", bundle.display())))
}

/// Removes a bundle, if there is one.
pub(super) fn remove(bundle: &Path) -> Result<()> {
    match std::fs::remove_dir_all(bundle) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system(format!("removing {}: {error}", bundle.display())))
        }
        _ => Ok(()),
    }
}

fn shim_config(engine: &Engine, document: &Document) -> Result<barge_shim::Config> {
    let failed = |error: barge_store::Error| Error::system(format!("opening the root filesystem: {error}"));
    let snapshot = engine.images.store().snapshots().open(&document.id).map_err(failed)?;
    // What is removed at its end needs no care for the disk.
    let volatile = document.host_config.auto_remove;
    let root = Root::Overlay { lower: snapshot.lower, upper: snapshot.upper, work: snapshot.work, volatile };
    let dir = engine.config.containers_dir().join(&document.id);
    let exit_file = dir.join(super::restore::EXIT_FILE);
    // The record of an earlier run must not be taken for this one's.
    let _ = std::fs::remove_file(&exit_file);
    let config = &document.config;
    let mut shim = barge_shim::Config::new(&document.id, root, exit_file);
    shim.volatile = volatile;
    shim.user = Some(config.user.clone());
    shim.groups = document.host_config.group_add.clone();
    shim.stdin = match (config.open_stdin, config.stdin_once) {
        (false, _) => Stdin::Closed,
        (true, false) => Stdin::Open,
        (true, true) => Stdin::Once,
    };
    shim.log = log_config(document, &dir)?;
    shim.seccomp_cache = Some(engine.config.data_root.join("seccomp"));
    shim.console_size = console_size(document.host_config.console_size);
    Ok(shim)
}

/// From rows and columns to columns and rows.
pub(super) fn console_size([rows, columns]: [u32; 2]) -> Option<(u16, u16)> {
    let (columns, rows) = (u16::try_from(columns).ok()?, u16::try_from(rows).ok()?);
    (columns > 0 && rows > 0).then_some((columns, rows))
}

fn log_config(document: &Document, dir: &Path) -> Result<LogConfig> {
    let options = log::parse(&document.host_config.log_config)?;
    if !options.enabled {
        return Ok(LogConfig::None);
    }
    let attrs =
        options.attributes(&document.config.labels, &document.config.env, |template| tag(document, template));
    Ok(LogConfig::JsonFile(JsonFileConfig {
        path: log_path(document, dir),
        max_size: options.max_size,
        max_file: options.max_file,
        compress: options.compress,
        attrs,
    }))
}

/// Where the log is, for `inspect` and its readers.
pub(super) fn log_path(document: &Document, dir: &Path) -> std::path::PathBuf {
    dir.join(format!("{}-json.log", document.id))
}

/// The `tag` option: the fields dockerd's own drivers know.
fn tag(document: &Document, template: &str) -> String {
    let id = document.id.as_str();
    let image = document.image.strip_prefix("sha256:").unwrap_or(&document.image);
    let short = |text: &str| text[..12.min(text.len())].to_owned();
    let fields = [
        ("ID", short(id)),
        ("FullID", id.to_owned()),
        ("Name", document.name.clone()),
        ("ImageID", short(image)),
        ("ImageFullID", document.image.clone()),
        ("ImageName", document.config.image.clone()),
        ("DaemonName", "docker".to_owned()),
    ];
    fields
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{.{name}}}}}"), value))
}
