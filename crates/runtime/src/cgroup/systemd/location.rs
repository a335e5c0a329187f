//! `slice:prefix:name`, which is what `linux.cgroupsPath` means to the systemd driver. Pure.

use std::path::{Path, PathBuf};

use crate::bus::Manager;
use crate::cgroup::invalid;
use crate::error::Result;

const FIELD: &str = "linux.cgroupsPath";

/// Where a container's scope is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    slice: Option<String>,
    unit: String,
    /// The container's name in it.
    pub(super) name: String,
}

impl Location {
    /// Reads the path of a specification; a container without one has a scope of its own name.
    pub(super) fn of(path: Option<&Path>, id: &str) -> Result<Self> {
        let text = path.map(Path::to_string_lossy).unwrap_or_default();
        let (slice, prefix, name) = match text.split(':').collect::<Vec<_>>()[..] {
            [""] => ("", "barge", id),
            [slice, prefix, name] => (slice, prefix, name),
            _ => {
                let reason = format!(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {text:?} \
                     instead"
                );
                return Err(invalid(FIELD, reason));
            }
        };
        let unit = format!("{prefix}-{name}.scope");
        // See unit_name_is_valid() of systemd.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        if name.is_empty() || name.ends_with(".slice") || unit.len() > 255 || !unit.bytes().all(plain) {
            return Err(invalid(FIELD, format!("{unit:?} is no name of a scope")));
        }
        let slice = (!slice.is_empty()).then(|| slice.to_owned());
        Ok(Self { slice, unit, name: name.into() })
    }

    pub(super) fn unit(&self) -> String {
        self.unit.clone()
    }

    /// The slice's own name.
    pub(super) fn slice(&self, manager: Manager) -> &str {
        self.slice.as_deref().unwrap_or(match manager {
            Manager::System => "system.slice",
            Manager::User => "user.slice",
        })
    }

    /// The scope's path below the manager's own cgroup.
    pub(super) fn path(&self, manager: Manager) -> Result<PathBuf> {
        Ok(expand(self.slice(manager))?.join(&self.unit))
    }
}

/// A slice lies in the one that its name begins with: `a-b.slice` in `a.slice`.
fn expand(slice: &str) -> Result<PathBuf> {
    let wrong = || invalid(FIELD, format!("invalid slice name: {slice}"));
    let stem = slice.strip_suffix(".slice").filter(|_| !slice.contains('/')).ok_or_else(wrong)?;
    if stem == "-" {
        return Ok(PathBuf::new());
    }
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        if part.is_empty() {
            return Err(wrong());
        }
        path.push(format!("{prefix}{part}.slice"));
        prefix = format!("{prefix}{part}-");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_slice_and_scope() {
        let cases = [
            ("", Some("system.slice/barge-id.scope")),
            ("machine.slice:libpod:abc", Some("machine.slice/libpod-abc.scope")),
            (":docker:abc", Some("system.slice/docker-abc.scope")),
            ("a-b-c.slice:p:n", Some("a.slice/a-b.slice/a-b-c.slice/p-n.scope")),
            ("-.slice:p:n", Some("p-n.scope")),
            ("/docker/abc", None),
            ("a.slice:b", None),
            ("a.slice:b:c:d", None),
            ("a:b:c", None),
            ("a--b.slice:b:c", None),
            ("-a.slice:b:c", None),
            (".slice:b:c", None),
            ("../a.slice:b:c", None),
            ("a.slice:b:../c", None),
            ("a.slice:b:c.slice", None),
            ("a.slice:b:", None),
        ];
        for (text, expected) in cases {
            let path =
                Location::of(Some(Path::new(text)), "id").and_then(|place| place.path(Manager::System));
            assert_eq!(path.ok(), expected.map(PathBuf::from), "{text}");
        }
        let own = Location::of(None, "id").unwrap();
        assert_eq!(own.path(Manager::User).unwrap(), Path::new("user.slice/barge-id.scope"));
    }

    #[test]
    fn another_format_is_refused_in_runcs_words() {
        let error = Location::of(Some(Path::new("/docker/abc")), "id").unwrap_err().to_string();
        let words = r#"expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/docker/abc" instead"#;
        assert!(error.contains(words), "{error}");
    }
}
