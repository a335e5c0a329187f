//! What a specification asks of security modules that this host may not have.
//!
//! Asked for and absent is an error: a container that runs without its label is not the one that was asked for.
//! Nothing is looked at when nothing is asked for.

use std::path::Path;

use barge_oci::runtime_spec::Linux;

use crate::error::Result;
use crate::plan::invalid;
use crate::plan::process::ProcessPlan;

/// Refuses labels and profiles that nothing here would enforce, in runc's words.
pub(crate) fn check(process: &ProcessPlan, linux: &Linux) -> Result<()> {
    let mount_label = linux.mount_label().as_deref().is_some_and(|label| !label.is_empty());
    if (process.selinux.is_some() || mount_label) && !Path::new("/sys/fs/selinux/enforce").exists() {
        let field = if process.selinux.is_some() { "process.selinuxLabel" } else { "linux.mountLabel" };
        let reason = "selinux label is specified in config, but selinux is disabled or not supported";
        return Err(invalid(field, reason));
    }
    if process.apparmor.is_some() && !apparmor() {
        let reason = "apparmor: config provided but apparmor not supported";
        return Err(invalid("process.apparmorProfile", reason));
    }
    Ok(())
}

fn apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}
