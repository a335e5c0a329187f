//! What can be done for a container before its network and its streams are there.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use barge_sys::namespace::kind;
use rustix::fs::{CWD, Mode, OFlags};

use crate::Created;
use crate::birth;
use crate::cgroup::{Announce, Cgroup, Driver, Entry, Layout, Placeholder, rootless};
use crate::create;
use crate::error::{Error, Result};
use crate::init::Gate;
use crate::init::rootfs::mount_early;
use crate::labels;
use crate::plan::{Plan, invalid, namespaces, no_linux};
use crate::rdt::RdtPlan;
use crate::request::{Inputs, Request};
use crate::reservation::Reservation;
use crate::seccomp::{Filter, Owner};

/// A container whose plan is made, whose cgroups exist with their limits and whose seccomp filter is at hand.
///
/// Dropped without [`Prepared::create`], it removes its cgroups again.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) root: Option<OwnedFd>,
    pub(crate) layout: Layout,
    pub(crate) cgroup: Undo,
    pub(crate) entry: Entry,
    pub(crate) filter: Option<Filter>,
    pub(crate) joins: Vec<(u64, OwnedFd)>,
    /// How many descriptors above standard error the program inherits from the caller.
    pub(crate) preserved: u16,
    /// What is not done as asked, in words for the container's owner.
    pub(crate) warnings: Vec<String>,
}

/// A cgroup that is removed unless somebody takes it over.
#[derive(Debug)]
pub(crate) struct Undo {
    cgroup: Option<Cgroup>,
    /// Who keeps it alive until the container's init is in it.
    placeholder: Option<Placeholder>,
    /// What says whether it is still ours, where others may delete the container meanwhile.
    reservation: Option<Arc<Reservation>>,
}

impl Undo {
    pub(crate) fn get(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// The cgroup is the new owner's to remove.
    pub(crate) fn keep(mut self) -> Option<Cgroup> {
        self.cgroup.take()
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // It would be in the way of the cgroup's end.
        drop(self.placeholder.take());
        if let Some(cgroup) = &self.cgroup
            && !self.reservation.as_ref().is_some_and(|reservation| reservation.is_anothers())
        {
            // The failure that led here is what the caller hears of.
            let _ = cgroup.remove();
        }
    }
}

impl Prepared {
    /// Checks and plans the request, makes the cgroups and finds or compiles the seccomp filter.
    pub fn new(request: Request) -> Result<Self> {
        Self::with_driver(request, Driver::Direct)
    }

    /// As [`Prepared::new`], with cgroups made by `driver`.
    pub fn with_driver(request: Request, driver: Driver) -> Result<Self> {
        Self::announced(request, driver, &|_, _| Ok(()), None)
    }

    /// As [`Prepared::with_driver`]; `announce` is told of the cgroup just before it is made. On failure the cgroup is
    /// left alone if the reservation is another's by then.
    pub(crate) fn announced(
        request: Request,
        driver: Driver,
        announce: Announce<'_>,
        reservation: Option<Arc<Reservation>>,
    ) -> Result<Self> {
        let mut plan = Plan::new(&request)?;
        let linux = request.spec.linux().as_ref();
        labels::check(&plan.process, linux.unwrap_or(&no_linux()))?;
        plan.rdt.as_ref().map(RdtPlan::mounted).transpose()?;
        let layout = Layout::of_host()?;
        let resources = linux.and_then(|linux| linux.resources().as_ref());
        let owner = Owner { spec: &request.spec, id: &request.id, bundle: &request.bundle, init_pid: None };
        let filter = linux
            .and_then(|linux| linux.seccomp().as_ref())
            .map(|profile| Filter::of(profile, request.seccomp_cache.as_deref(), owner))
            .transpose()?;
        let joins = open_namespaces(&mut plan)?;
        let root = mount_early(&plan.root.source)?;
        let named = linux.and_then(|linux| linux.cgroups_path().as_ref());
        let named = named.is_some_and(|path| !path.as_os_str().is_empty());
        let (cgroup, placeholder) = match driver {
            Driver::Direct => {
                // Whoever clears up after a note takes all in the cgroup for the container's.
                Cgroup::check_vacant(&layout, &plan.cgroup)?;
                announce(&plan.cgroup, None)?;
                let cgroup = match Cgroup::create(&layout, &plan.cgroup, resources) {
                    Err(error) if !named && rootless::is_expected(&error) => {
                        Cgroup::create_where_allowed(&layout, &plan.cgroup, resources)?
                    }
                    cgroup => cgroup?,
                };
                (cgroup, None)
            }
            Driver::Systemd => {
                let (cgroup, placeholder) =
                    Cgroup::create_scope(&layout, &request.spec, &request.id, announce)?;
                plan.cgroup = cgroup.path().to_owned();
                (cgroup, Some(placeholder))
            }
        };
        let warnings = resources.map(|resources| cgroup.ignored(resources)).unwrap_or_default();
        let entry = cgroup.entry();
        let cgroup = Undo { cgroup: Some(cgroup), placeholder, reservation };
        let entry = entry?;
        Ok(Self { plan, root, layout, cgroup, entry, filter, joins, preserved: 0, warnings })
    }

    /// Clones the container's init and waits until it has everything but its program running.
    pub fn create(self, inputs: Inputs) -> Result<Created> {
        create::create(self, inputs, Gate::Channel)
    }

    /// As [`Prepared::create`], for a container that some other process will start by writing into the FIFO `go`. It
    /// hears through `outcome`, if that is given, what came of it.
    pub(crate) fn create_behind(
        self,
        inputs: Inputs,
        go: OwnedFd,
        outcome: Option<OwnedFd>,
    ) -> Result<Created> {
        create::create(self, inputs, Gate::Fifo { go, outcome })
    }
}

fn open_namespaces(plan: &mut Plan) -> Result<Vec<(u64, OwnedFd)>> {
    let open = |(kind, path): &(u64, std::path::PathBuf)| {
        // A pipe of this name must not keep anybody waiting.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).map(|fd| (*kind, fd)).map_err(|errno| {
            Error::NamespaceOpen {
                kind: namespaces::name(*kind).into(),
                path: path.clone(),
                source: errno.into(),
            }
        })
    };
    let mut opened = plan.namespaces.join.iter().map(open).collect::<Result<Vec<_>>>()?;
    if let Some(sysctl) = plan.sysctls.iter().find(|sysctl| {
        opened.iter().any(|(kind, fd)| *kind == sysctl.namespace && birth::is_here(*kind, fd.as_fd()))
    }) {
        let reason = format!("{:?} is not in a separate kernel namespace", sysctl.path);
        return Err(invalid("linux.sysctl", reason));
    }
    // Nobody can join the user namespace that they are in.
    let own = |(kind, fd): &(u64, OwnedFd)| *kind == kind::USER && birth::is_here(*kind, fd.as_fd());
    if opened.iter().any(own) {
        opened.retain(|joined| !own(joined));
        plan.namespaces.join.retain(|(kind, _)| *kind != kind::USER);
    }
    Ok(opened)
}
