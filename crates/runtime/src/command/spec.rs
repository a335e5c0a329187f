//! `spec`: a config.json to begin with, which runs a shell.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use barge_oci::runtime_spec::Spec;

use super::flags::{Flag, Given, Syntax};
use super::{Globals, Verb};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "spec",
        about: "Write a config.json to begin with",
        words: "",
        count: (0, 0),
        open: false,
        flags: &[
            Flag::with("bundle", "directory", "Directory to write it to (default: here)").or('b'),
            Flag::switch("rootless", "For a container that this user runs without privileges"),
        ],
    },
    spec,
);

fn spec(_: &Globals, given: &Given) -> Result<u8> {
    let mut spec = if given.on("rootless")? {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Spec::rootless(uid.as_raw(), gid.as_raw())
    } else {
        Spec::default()
    };
    // Who tries it out sits at one. The same document comes from runc.
    if let Some(process) = spec.process_mut() {
        process.set_terminal(Some(true));
    }
    let path = given.path("bundle").unwrap_or_else(|| ".".into()).join("config.json");
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
