//! `restore`: a container as it was when it was saved, under this or another name.
//!
//! ```text
//! state directory, cgroup ──> CRIU makes the processes ──> state.json ──> they run
//! a failure at any step:      what is left of them is killed, cgroup and directory are removed
//! ```

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barge_oci::runtime_spec::{Linux, LinuxNamespace, LinuxNamespaceType, Spec};
use barge_sys::namespace::kind;
use rustix::process::{Pid, Signal, WaitOptions};

use super::checkpoint::{SHARED, shared};
use super::create::{has_terminal, write_pid};
use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::state::{self, Container, new_document};
use super::{Globals, Verb, create, streams, unfinished, warn};
use crate::cgroup::{Cgroup, Driver, Layout, Placeholder};
use crate::checkpoint::Options;
use crate::checkpoint::restore::{Restore, Restored};
use crate::document;
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::plan::Plan;
use crate::plan::namespaces::Namespaces;
use crate::request::{Request, Root};
use crate::reservation::Reservation;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "restore",
        about: "Bring a saved container back",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &FLAGS,
    },
    restore,
);

const FLAGS: [Flag; 19] = {
    let [image, work, tcp, unix, shell, locks, cgroups, empty, dedup, lazy, criu] = SHARED;
    let [bundle, console, _, pid, pivot, ..] = create::FLAGS;
    let detach = Flag::switch("detach", "Do not wait for the end").or('d');
    let subreaper = Flag::switch("no-subreaper", "");
    let profile = Flag::with("lsm-profile", "type:name", "Security profile in place of the saved one");
    let context = Flag::with("lsm-mount-context", "context", "Context of mounts in place of the saved one");
    [
        image, work, tcp, unix, shell, locks, cgroups, empty, dedup, lazy, criu, bundle, console, pid, pivot,
        detach, subreaper, profile, context,
    ]
};

fn restore(globals: &Globals, given: &Given) -> Result<u8> {
    let options = Options {
        lsm_profile: given.text("lsm-profile")?.filter(|text| !text.is_empty()),
        lsm_mount_context: given.text("lsm-mount-context")?.filter(|text| !text.is_empty()),
        ..shared(globals, given)?
    };
    let bundle = given.path("bundle").unwrap_or_else(|| ".".into());
    let bundle = fs::canonicalize(&bundle).map_err(|error| Error::File {
        operation: "open bundle".into(),
        path: bundle,
        source: error.into(),
    })?;
    let (spec, warnings) = document::load_spec(&bundle.join("config.json"))?;
    warnings.iter().for_each(|warning| warn(warning));
    let detach = given.on("detach")?;
    streams::check_console(has_terminal(&spec), detach, given.path("console-socket").is_some())?;
    let foreground = streams::Foreground::begin(detach)?;
    let attempt = Attempt::begin(globals, given.container()?, bundle, spec)?;
    let (container, mut restored) = attempt.perform(&options, given)?;
    if detach {
        return Ok(0);
    }
    let code = foreground.wait(&streams::child(restored.pid)?, restored.console.take())?;
    container.remove()?;
    Ok(code)
}

/// A container that is not back yet. Dropped, it takes with it all that is there of it.
struct Attempt {
    reservation: Arc<Reservation>,
    directory: PathBuf,
    cgroup: Option<Cgroup>,
    /// Keeps the cgroup alive until there is a container in it.
    placeholder: Option<Placeholder>,
    hooks: Option<HooksPlan>,
    id: String,
    bundle: PathBuf,
    spec: Spec,
    done: bool,
}

impl Attempt {
    fn begin(globals: &Globals, id: String, bundle: PathBuf, spec: Spec) -> Result<Self> {
        let request = Request {
            id: id.clone(),
            bundle: bundle.clone(),
            spec: spec.clone(),
            root: Root::Bundle,
            user: None,
            groups: Vec::new(),
            seccomp_cache: None,
        };
        let plan = Plan::new(&request)?;
        let reservation = state::reserve(&globals.root, &id)?;
        // CRIU works elsewhere.
        let directory = fs::canonicalize(reservation.path()).unwrap_or(reservation.path().into());
        let mut attempt = Self {
            reservation,
            directory,
            cgroup: None,
            placeholder: None,
            hooks: plan.hooks,
            id,
            bundle,
            spec,
            done: false,
        };
        attempt.make_cgroup(globals.driver, &plan.cgroup)?;
        Ok(attempt)
    }

    fn make_cgroup(&mut self, driver: Driver, path: &Path) -> Result<()> {
        let layout = Layout::of_host()?;
        let announce = unfinished::announce(&self.directory, &self.spec, &self.id)?;
        match driver {
            Driver::Direct => {
                check_empty(path)?;
                announce(path, None)?;
                let resources = self.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
                self.cgroup = Some(Cgroup::create(&layout, path, resources)?);
            }
            Driver::Systemd => {
                let (cgroup, placeholder) = Cgroup::create_scope(&layout, &self.spec, &self.id, &announce)?;
                self.cgroup = Some(cgroup);
                self.placeholder = Some(placeholder);
            }
        }
        Ok(())
    }

    fn perform(mut self, options: &Options, given: &Given) -> Result<(Container, Restored)> {
        let Some(cgroup) = &self.cgroup else { return Err(Error::InitDied) };
        let rootfs = self.spec.root().as_ref().map(|root| self.bundle.join(root.path())).unwrap_or_default();
        let request = Restore {
            options,
            spec: &self.spec,
            bundle: &self.bundle,
            rootfs: &rootfs,
            place: &self.directory,
            cgroup,
            hooks: self.hooks.as_ref(),
            own_streams: !has_terminal(&self.spec),
        };
        let restored = request.perform(|pid| self.save(pid).map(drop)).inspect_err(|error| {
            if let (Error::Hook { .. }, Some(hooks)) = (error, &self.hooks) {
                // As after a `create` that a hook has stopped.
                let _ = hooks.poststop();
            }
        })?;
        let restored = self.hand_over(restored, given).inspect_err(|_| self.stop())?;
        let container = self.save(restored.pid).inspect_err(|_| self.stop())?;
        self.done = true;
        Ok((container, restored))
    }

    /// Writes the state of the container whose init is `pid`.
    fn save(&self, pid: i32) -> Result<Container> {
        let spec = with_time_namespace(self.spec.clone(), pid);
        let cgroup = self.cgroup.as_ref().ok_or(Error::InitDied)?;
        let document = new_document(&self.id, &self.bundle, spec, pid, cgroup)?;
        Ok(Container::save(self.directory.clone(), document)?.reserved(&self.reservation))
    }

    fn hand_over(&self, mut restored: Restored, given: &Given) -> Result<Restored> {
        if let Some(socket) = given.path("console-socket")
            && let Some(console) = restored.console.take()
        {
            streams::send_console(&socket, &console)?;
        }
        if let Some(file) = given.path("pid-file") {
            write_pid(&file, restored.pid)?;
        }
        Ok(restored)
    }

    /// Kills what there is of it. Its processes are our children, or those of one.
    fn stop(&self) {
        let Some(cgroup) = self.cgroup.as_ref().filter(|_| !self.reservation.is_anothers()) else { return };
        let children: Vec<i32> = cgroup.procs().unwrap_or_default();
        let _ = cgroup.signal_all(Signal::KILL.as_raw());
        for pid in children.into_iter().filter_map(Pid::from_raw) {
            // Only ours can be waited for; the others are gone with their namespace.
            let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        drop(self.placeholder.take());
        if self.reservation.is_anothers() {
            return;
        }
        // The failure that led here is the one to report.
        self.stop();
        let _ = self.cgroup.as_ref().map(Cgroup::remove);
        let _ = unfinished::remove_directory(&self.directory);
    }
}

/// Whoever is in the cgroup already is somebody else's, and would end with an attempt that fails.
fn check_empty(cgroup: &Path) -> Result<()> {
    match Cgroup::open(cgroup)?.procs()?.len() {
        0 => Ok(()),
        count => {
            let reason = format!("container's cgroup is not empty: {count} process(es) found");
            Err(Error::CgroupUnsupported { reason })
        }
    }
}

/// CRIU puts what it restores into a time namespace, so that clocks go on where they stood. Processes that are added
/// later have to know.
fn with_time_namespace(mut spec: Spec, pid: i32) -> Spec {
    let inode = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/time")).map(|metadata| metadata.ino()).ok();
    let none = Linux::default();
    let known = Namespaces::of(spec.linux().as_ref().unwrap_or(&none));
    let foreign = inode(&pid.to_string()).is_some_and(|own| Some(own) != inode("self"));
    if let (Ok(known), Some(linux)) = (known, spec.linux_mut())
        && foreign
        && !known.separate(kind::TIME)
    {
        let mut time = LinuxNamespace::default();
        time.set_typ(LinuxNamespaceType::Time);
        let mut namespaces = linux.namespaces().clone().unwrap_or_default();
        namespaces.push(time);
        linux.set_namespaces(Some(namespaces));
    }
    spec
}
