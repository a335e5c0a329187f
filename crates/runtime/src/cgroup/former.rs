//! Limits as they were before an update, to be put back when it fails: who is told that an update has failed expects that
//! nothing has changed. Files of several lines (one for each device) are left as the update has them.

use std::fs;
use std::path::PathBuf;

use super::settings::Setting;
use super::{Places, v1};

/// Files and what was in them.
pub(super) struct Former(Vec<(PathBuf, String)>);

impl Former {
    /// What `settings` would overwrite.
    pub(super) fn of(places: &Places, settings: &[Setting]) -> Self {
        let content = |setting: &Setting| {
            let directory = match places {
                Places::Legacy(places) => v1::place(places, setting.controller)?,
                Places::Unified(directory) => directory,
            };
            setting.ways().find_map(|(file, _)| {
                let file = directory.join(file);
                let text = fs::read_to_string(&file).ok()?;
                (text.lines().count() == 1).then_some((file, text))
            })
        };
        Self(settings.iter().filter_map(content).collect())
    }

    /// Puts everything back as far as it can be. Twice, because some files take a value only after another has its own
    /// again.
    pub(super) fn restore(self) {
        for (file, text) in self.0.iter().rev().chain(self.0.iter().rev()) {
            let _ = fs::write(file, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::settings;

    #[test]
    fn what_an_update_would_overwrite_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
        for (file, text) in
            [("memory.max", "max\n"), ("io.max", "8:0 rbps=1\n8:16 rbps=2\n"), ("pids.max", "5\n")]
        {
            write(file, text);
        }
        let resources = r#"{"memory":{"limit":7},"pids":{"limit":9},"unified":{"io.max":"8:0 rbps=3"}}"#;
        let settings = settings::for_v2(&serde_json::from_str(resources).unwrap()).unwrap();
        let former = Former::of(&Places::Unified(folder.path().into()), &settings);
        ["memory.max", "io.max", "pids.max"].into_iter().for_each(|file| write(file, "new"));
        former.restore();
        assert_eq!((read("memory.max").as_str(), read("pids.max").as_str()), ("max\n", "5\n"));
        assert_eq!(read("io.max"), "new");
    }
}
