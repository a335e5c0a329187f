//! `spec`: a config.json to begin with, which runs a shell.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use barge_oci::runtime_spec::Spec;
use clap::Args;

use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory to write it to
    #[arg(long, short, default_value = ".")]
    bundle: PathBuf,
    /// For a container that this user runs without privileges
    #[arg(long)]
    rootless: bool,
}

pub(super) fn spec(arguments: &Arguments) -> Result<u8> {
    let spec = if arguments.rootless {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Spec::rootless(uid.as_raw(), gid.as_raw())
    } else {
        Spec::default()
    };
    let path = arguments.bundle.join("config.json");
    let failed = |error: std::io::Error| Error::File {
        operation: "write".into(),
        path: path.clone(),
        source: error.into(),
    };
    // Nobody's work is overwritten.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::Usage { reason: "File config.json exists. Remove it first".into() });
        }
        opened => opened.map_err(failed)?,
    };
    let mut text = serde_json::to_vec_pretty(&spec).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    file.write_all(&text).map_err(failed)?;
    Ok(0)
}
