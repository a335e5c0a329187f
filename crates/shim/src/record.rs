//! What a shim leaves behind: the exit record, its pid, and what it has to say in `shim.log`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::protocol::ExitRecord;
use crate::{Error, Result};

impl ExitRecord {
    /// The version of the document that this program writes.
    pub(crate) const VERSION: u32 = 1;

    /// Reads the record that a shim has left; `None` when there is none.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
        };
        let record: Self = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Decode { path: path.to_owned(), source })?;
        match record.version {
            Self::VERSION => Ok(Some(record)),
            found => Err(Error::Version { path: path.to_owned(), found }),
        }
    }

    /// Puts the record at `path` in one step. The returned file may still be synced to disk.
    pub(crate) fn save(&self, path: &Path) -> Result<File> {
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Encode { source })?;
        replace(path, &bytes)
    }
}

/// Writes a file beside `path` and renames it there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        Ok(file)
    };
    let file = write().map_err(|source| Error::Write { path: partial.clone(), source })?;
    fs::rename(&partial, path).map_err(|source| Error::Rename { path: path.to_owned(), source })?;
    Ok(file)
}

/// Says something to whoever reads `shim.log`.
pub(crate) fn report(message: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "{} {message}", jiff::Timestamp::now());
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_missing_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("exit.json");
        assert_eq!(ExitRecord::load(&path).unwrap(), None);
        let now = Timestamp::now();
        let record = ExitRecord {
            version: ExitRecord::VERSION,
            pid: 5,
            exit_code: 3,
            oom_killed: false,
            started_at: now,
            finished_at: now,
        };
        record.save(&path).unwrap();
        assert_eq!(ExitRecord::load(&path).unwrap(), Some(record));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&path, r#"{"version":2}"#).unwrap();
        assert!(ExitRecord::load(&path).is_err());
    }
}
