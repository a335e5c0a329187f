//! `checkpoint`: saves a running container, which is gone then unless it is to go on.

use super::flags::{CONTAINER, Flag, Given, Syntax, usage};
use super::state::{Container, Status};
use super::{Globals, Verb, delete};
use crate::checkpoint::dump::Dump;
use crate::checkpoint::{CgroupMode, Options, page_server};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "checkpoint",
        about: "Save a running container",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &FLAGS,
    },
    checkpoint,
);

/// What a checkpoint and a restore have in common.
pub(super) const SHARED: [Flag; 11] = [
    Flag::with("image-path", "directory", "Where the images are (default: checkpoint)"),
    Flag::with("work-path", "directory", "Where CRIU's log goes, if not to the images"),
    Flag::switch("tcp-established", "Allow open TCP connections"),
    Flag::switch("ext-unix-sk", "Allow connections to Unix sockets outside"),
    Flag::switch("shell-job", "Allow jobs of a shell outside"),
    Flag::switch("file-locks", "Allow file locks"),
    Flag::with("manage-cgroups-mode", "mode", "soft, full, strict or ignore (default: soft)"),
    Flag::with("empty-ns", "namespace", "Make a namespace without what was in it: network, which always is"),
    Flag::switch("auto-dedup", "Remove from earlier images what later ones have anew"),
    Flag::switch("lazy-pages", "Bring memory pages when they are needed"),
    Flag::with("criu", "path", ""),
];

const FLAGS: [Flag; 18] = {
    let [image, work, tcp, unix, shell, locks, cgroups, empty, dedup, lazy, criu] = SHARED;
    let parent =
        Flag::with("parent-path", "directory", "Images of an earlier pre-dump, seen from the image path");
    let leave = Flag::switch("leave-running", "Let the container go on afterwards");
    let in_flight = Flag::switch("tcp-skip-in-flight", "Skip TCP connections that nobody has accepted yet");
    let remap = Flag::switch("link-remap", "Give names back to files without one where possible");
    let status =
        Flag::with("status-fd", "n", "Descriptor that gets a zero byte once memory pages are served");
    let server = Flag::with("page-server", "address:port", "Where memory pages go");
    let pre_dump = Flag::switch("pre-dump", "Save only memory and let the container go on");
    [
        image, work, tcp, unix, shell, locks, cgroups, empty, dedup, lazy, criu, parent, leave, in_flight,
        remap, status, server, pre_dump,
    ]
};

/// The options that both verbs have.
pub(super) fn shared(globals: &Globals, given: &Given) -> Result<Options> {
    if let Some(other) = given.texts("empty-ns")?.iter().find(|name| *name != "network") {
        return Err(usage(format!("namespace {other:?} is not supported")));
    }
    Ok(Options {
        criu: given.path("criu").unwrap_or_else(|| globals.criu.clone()),
        images: given.path("image-path").unwrap_or_else(|| "checkpoint".into()),
        work: given.path("work-path"),
        parent: None,
        leave_running: false,
        pre_dump: false,
        tcp_established: given.on("tcp-established")?,
        tcp_skip_in_flight: false,
        link_remap: false,
        external_unix_sockets: given.on("ext-unix-sk")?,
        shell_job: given.on("shell-job")?,
        file_locks: given.on("file-locks")?,
        auto_dedup: given.on("auto-dedup")?,
        lazy_pages: given.on("lazy-pages")?,
        cgroups: cgroup_mode(given.text("manage-cgroups-mode")?.as_deref())?,
        page_server: None,
        lsm_profile: None,
        lsm_mount_context: None,
    })
}

fn cgroup_mode(text: Option<&str>) -> Result<CgroupMode> {
    match text.unwrap_or_default() {
        "" => Ok(CgroupMode::Default),
        "soft" => Ok(CgroupMode::Soft),
        "full" => Ok(CgroupMode::Full),
        "strict" => Ok(CgroupMode::Strict),
        "ignore" => Ok(CgroupMode::Ignore),
        _ => Err(usage("invalid manage-cgroups-mode value".into())),
    }
}

fn checkpoint(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    let status = container.stage()?;
    if matches!(status, Status::Created | Status::Stopped) {
        let reason = format!("Container cannot be checkpointed in {} state", status.word());
        return Err(Error::Usage { reason });
    }
    let server = given.text("page-server")?.filter(|text| !text.is_empty());
    let options = Options {
        parent: given.path("parent-path"),
        leave_running: given.on("leave-running")?,
        pre_dump: given.on("pre-dump")?,
        tcp_skip_in_flight: given.on("tcp-skip-in-flight")?,
        link_remap: given.on("link-remap")?,
        page_server: server.map(|text| page_server(&text)).transpose().map_err(usage)?,
        ..shared(globals, given)?
    };
    let document = &container.document;
    let cgroup = container.cgroup()?;
    let dump = Dump {
        options: &options,
        status_fd: given.number::<i32>("status-fd")?.filter(|number| *number >= 0),
        spec: &document.spec,
        bundle: &document.bundle,
        rootfs: &document.rootfs,
        pid: document.pid,
        cgroup: &cgroup,
    };
    dump.perform()?;
    if options.leave_running || options.pre_dump {
        return Ok(0);
    }
    // What CRIU has not seen (a process that was added later) has no place to go back to.
    delete::end(&container)?;
    container.remove()?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_runc() {
        for (text, expected) in [
            (None, Ok(CgroupMode::Default)),
            (Some(""), Ok(CgroupMode::Default)),
            (Some("ignore"), Ok(CgroupMode::Ignore)),
            (Some("props"), Err("invalid manage-cgroups-mode value".to_owned())),
        ] {
            assert_eq!(cgroup_mode(text).map_err(|error| error.to_string()), expected, "{text:?}");
        }
    }
}
