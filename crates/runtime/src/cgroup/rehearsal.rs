//! Resources' way to control files and rules without a kernel, and what must hold of the result.

use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::LinuxResources;

use super::settings::Setting;
use super::{Cgroup, Layout, Places, device_program, device_rules, settings};

/// Works out what would be written, for both versions. Panics if a value would reach another file than its own.
pub(crate) fn rehearse(resources: &LinuxResources) {
    for settings in [settings::for_v1(resources), settings::for_v2(resources)].into_iter().flatten() {
        settings.iter().for_each(plain);
    }
    let Ok(rules) = device_rules::with_defaults(device_rules::of(Some(resources))) else { return };
    let program = device_program::compile(&rules);
    for (at, i) in program.iter().enumerate() {
        let target = at as i64 + 1 + i64::from(i.offset);
        let jumps = i.code & 7 == 6 && i.code != device_program::EXIT;
        assert!(!jumps || (i.offset >= 0 && target < program.len() as i64), "{at}: jump to {target}");
    }
    assert_eq!(program.last().map(|last| last.code), Some(device_program::EXIT), "the program ends");
}

fn plain(setting: &Setting) {
    for (file, _) in setting.ways() {
        assert!(!file.contains('/') && file != "." && file != "..", "{setting:?}");
    }
}

/// Where a cgroup of this path would lie, if it may be.
pub(crate) fn rehearse_path(path: &Path) -> Option<PathBuf> {
    let layout = Layout::Unified("/hierarchy".into());
    match Cgroup::locate(&layout, path).ok()?.places {
        Places::Unified(directory) => Some(directory),
        Places::Legacy(_) => None,
    }
}
