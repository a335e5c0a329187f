//! What is left of a creation that was cut off, or of a container whose state can't be read.
//!
//! Before anything is made, the container's directory gets a link that names its cgroup: one call, which is done or
//! is not. It stays until the directory is removed:
//!
//! ```text
//! <root>/<id>/cgroup -> {"cgroup":"/barge-x"}   from before the cgroup is made
//! <root>/<id>/state.json                        when the container's init waits for its start
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barge_oci::runtime_spec::Spec;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::state::FILE;
use crate::cgroup::{Cgroup, Scope};
use crate::error::{Error, Result};
use crate::rdt::{self, RdtPlan};

const LINK: &str = "cgroup";

/// More than any process needs to die, unless the kernel is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leaves a note in a container's directory when it hears which cgroup the container is about to have.
pub(super) fn announce(
    directory: &Path,
    spec: &Spec,
    id: &str,
) -> Result<impl Fn(&Path, Option<&Scope>) -> Result<()> + use<>> {
    let resctrl = RdtPlan::of_spec(spec, id)?.and_then(|rdt| rdt.own());
    let directory = directory.to_owned();
    Ok(move |cgroup: &Path, scope: Option<&Scope>| {
        let note = Note { cgroup: cgroup.into(), systemd: scope.cloned(), resctrl: resctrl.clone() };
        note.write(&directory)
    })
}

/// What the link says: where to look for a container's groups.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    cgroup: PathBuf,
    /// The unit of systemd that the cgroup belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    systemd: Option<Scope>,
    /// Its own group of resctrl, if it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resctrl: Option<PathBuf>,
}

impl Note {
    /// Leaves it in a container's directory.
    fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(LINK);
        let text = serde_json::to_string(self)
            .map_err(|error| Error::Document { path: path.clone(), reason: error.to_string() })?;
        std::os::unix::fs::symlink(text, &path).map_err(failed("make", &path))
    }

    /// Finds it again; nothing where there is none.
    fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(LINK);
        let text = match fs::read_link(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        serde_json::from_slice(text.as_os_str().as_bytes())
            .map(Some)
            .map_err(|error| Error::Document { path, reason: error.to_string() })
    }
}

/// Removes all there is of a container without a readable state: its processes, its cgroup, its directory. What is no
/// container's is left alone.
///
/// One that is being created just now does not survive it either; its creator hears of its death.
pub(super) fn clear(directory: &Path) -> Result<()> {
    match Note::read(directory)? {
        Some(note) => {
            end(&Cgroup::open_in(&note.cgroup, note.systemd)?)?;
            note.resctrl.map_or(Ok(()), |own| rdt::remove_group(&own))?;
        }
        None if !directory.join(FILE).exists() => return remove_empty(directory),
        None => {}
    }
    remove_directory(directory).map(drop)
}

/// Cut off before there was a note, or no container's directory at all.
fn remove_empty(directory: &Path) -> Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
        result => result.map_err(failed("remove", directory)),
    }
}

/// Removes a container's directory, the link last: until then all of this can be done again. Says whether it was this
/// that removed the state: of several that remove a container at once, one has done so.
pub(super) fn remove_directory(directory: &Path) -> Result<bool> {
    let mut state = false;
    for _ in 0..ROUNDS {
        state |= match remove_files(directory) {
            Err(Error::File { source, .. }) if source.errno() == Errno::NOENT.raw_os_error() => {
                return Ok(state);
            }
            result => result?,
        };
        match fs::remove_dir(directory) {
            // An update has put something there meanwhile.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            result => return found(result).map(|_| state).map_err(failed("remove", directory)),
        }
    }
    Err(failed("remove", directory)(Errno::NOTEMPTY.into()))
}

/// Each of them finds what somebody has left there since the one before.
const ROUNDS: usize = 100;

/// Empties a container's directory; whether there was a state in it.
fn remove_files(directory: &Path) -> Result<bool> {
    let mut state = false;
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let entry = entry.map_err(failed("read", directory))?;
        let (name, path) = (entry.file_name(), entry.path());
        if name != LINK {
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            state |= found(removed).map_err(failed("remove", &path))? && name == FILE;
        }
    }
    let link = directory.join(LINK);
    found(fs::remove_file(&link)).map_err(failed("remove", &link))?;
    Ok(state)
}

/// Whether it was there to be removed. If not, somebody else has done it.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true),
    }
}

/// An init without a creator ends by itself, but may still be on its way into the cgroup: hence again and again.
fn end(cgroup: &Cgroup) -> Result<()> {
    let begun = Instant::now();
    loop {
        let removed = cgroup.end().and_then(|()| cgroup.clear());
        if removed.is_ok() || begun.elapsed() > PATIENCE {
            return removed;
        }
    }
}

fn failed(operation: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::File { operation: operation.into(), path: path.into(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_removes_the_state_knows_and_no_directory_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("container");
        for (files, state) in [(&[FILE, "exec.fifo"][..], true), (&["state.json.7.tmp"], false)] {
            fs::create_dir(&directory).unwrap();
            std::os::unix::fs::symlink("{}", directory.join(LINK)).unwrap();
            files.iter().for_each(|file| fs::write(directory.join(file), "").unwrap());
            assert_eq!(remove_directory(&directory), Ok(state), "{files:?}");
            assert!(!directory.exists());
            assert_eq!(remove_directory(&directory), Ok(false), "{files:?}");
        }
    }
}
