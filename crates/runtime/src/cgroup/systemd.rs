//! A container's cgroup as a transient scope of systemd, asked for over D-Bus.
//!
//! ```text
//! slice:prefix:name ──> StartTransientUnit(prefix-name.scope, Slice, Delegate, PIDs, limits) ──> wait for the job
//!                       limits that systemd has no property for are written by us; so are those it has, at once
//! update ──> SetUnitProperties     remove ──> StopUnit, wait, ResetFailedUnit
//! ```
//!
//! Systemd writes its own idea of a unit's limits again whenever it likes: what it has a property for it must be told.
//! A scope can't be empty, and the container's init is born inside: a placeholder holds the scope until then.

mod annotations;
mod location;
mod placeholder;
mod properties;

use std::path::{Path, PathBuf};
use std::time::Duration;

use barge_oci::runtime_spec::{LinuxResources, Spec};
use serde::{Deserialize, Serialize};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::{Announce, Cgroup, Layout, Places, device_rules};
use crate::bus::{Arguments, Connection, Manager, Method};
use crate::error::{Error, Result};
use crate::userns;
use location::Location;
pub(crate) use placeholder::Placeholder;
use properties::Property;

/// How long a job of systemd may take, as runc has it.
const JOB: Duration = Duration::from_secs(30);

/// What became of a job that is over without a word.
const FORGOTTEN: &str = "forgotten";

/// The unit that a container's cgroup belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    unit: String,
    manager: Manager,
}

/// Makes the scope that `linux.cgroupsPath` names as `slice:prefix:name`, with the limits of the specification.
pub(super) fn create(
    layout: &Layout,
    spec: &Spec,
    id: &str,
    announce: Announce<'_>,
) -> Result<(Cgroup, Placeholder)> {
    if !Path::new("/run/systemd/system").is_dir() {
        let reason = "systemd not running on this host, cannot use systemd cgroups manager".into();
        return Err(Error::Systemd { reason });
    }
    let manager = if userns::is_unprivileged() { Manager::User } else { Manager::System };
    let linux = spec.linux().as_ref();
    let location = Location::of(linux.and_then(|linux| linux.cgroups_path().as_deref()), id)?;
    let asked = annotations::properties(spec.annotations().as_ref())?;
    let mut systemd = Systemd::connect(manager)?;
    let path = Path::new("/").join(systemd.root()?).join(location.path(manager)?);
    let unit = location.unit();
    let cgroup =
        Cgroup { scope: Some(Scope { unit: unit.clone(), manager }), ..Cgroup::locate(layout, &path)? };
    let resources = linux.and_then(|linux| linux.resources().as_ref()).map(properties::rounded);
    let limits = systemd.all_properties(resources.as_ref(), &cgroup.places)?;
    announce(&path, cgroup.scope())?;
    let placeholder = Placeholder::start()?;
    let mut all = properties::of_scope(&location, manager, placeholder.pid(), &cgroup.places);
    all.extend(asked);
    all.extend(limits);
    let started = systemd.start(&unit, all);
    let inside = placeholder.is_in(&unit);
    let ours = started.is_ok() || inside;
    let furnished = started.and_then(|()| match inside {
        true => cgroup.furnish(resources.as_ref()),
        false => Err(Error::Systemd { reason: format!("systemd has not made the unit {unit}") }),
    });
    match furnished {
        Ok(()) => Ok((cgroup, placeholder)),
        Err(error) => {
            drop(placeholder);
            // A unit of somebody else's may have the name. One that systemd is yet to make has nobody in it, and goes.
            if ours {
                // The first failure is what the caller wants to hear of.
                let _ = cgroup.remove();
            }
            Err(error)
        }
    }
}

/// Tells systemd of new limits and returns those to write, which are what systemd makes of them.
pub(super) fn update(scope: &Scope, resources: &LinuxResources, places: &Places) -> Result<LinuxResources> {
    let resources = properties::rounded(resources);
    let mut systemd = Systemd::connect(scope.manager)?;
    let limits = systemd.limits(&resources, places)?;
    if !limits.is_empty() {
        let arguments = Arguments::new("sba(sv)", &(&scope.unit, true, limits))?;
        systemd
            .call("SetUnitProperties", &arguments)
            .map_err(|error| Error::Systemd { reason: format!("unable to set unit properties: {error}") })?;
    }
    Ok(resources)
}

/// Ends the unit, and with it every process that is left in its cgroup. Not there at all is fine.
pub(super) fn remove(scope: &Scope) -> Result<()> {
    let mut systemd = Systemd::connect(scope.manager)?;
    let stopped = systemd.job("StopUnit", &scope.unit, &(&scope.unit, "replace"), "ss");
    // A scope whose processes were killed may stay as a failed one, and keep its name.
    systemd.reset(&scope.unit);
    match stopped {
        Err(Error::BusReply { name, .. }) if name.ends_with(".NoSuchUnit") => Ok(()),
        Ok(None) => {
            let reason = format!("Timed out while waiting for systemd to remove {}", scope.unit);
            Err(Error::Systemd { reason })
        }
        // Whatever became of the job: the cgroup tells whether the unit is gone.
        other => other.map(drop),
    }
}

/// The manager of units, which was connected to.
struct Systemd {
    connection: Connection,
    manager: Manager,
}

impl Systemd {
    fn connect(manager: Manager) -> Result<Self> {
        Ok(Self { connection: Connection::open(manager)?, manager })
    }

    fn call(&mut self, member: &str, arguments: &Arguments) -> Result<crate::bus::Body> {
        self.connection.call(method(member), arguments)
    }

    /// The cgroup in which this manager may do as it likes, relative to that of the hierarchy.
    fn root(&mut self) -> Result<PathBuf> {
        if self.manager == Manager::System {
            return Ok(PathBuf::new());
        }
        let path = self.property("ControlGroup")?;
        Ok(path.trim_start_matches('/').into())
    }

    fn property(&mut self, name: &str) -> Result<String> {
        let get = Method { interface: "org.freedesktop.DBus.Properties", ..method("Get") };
        let arguments = Arguments::new("ss", &("org.freedesktop.systemd1.Manager", name))?;
        let (value,): (OwnedVariant,) = self.connection.call(get, &arguments)?.read()?;
        let unexpected = || Error::Systemd { reason: format!("systemd's property {name} is no text") };
        match &*value {
            Variant::Str(text) => Ok(text.to_string()),
            _ => Err(unexpected()),
        }
    }

    /// Its version, asked for only by limits that depend on it.
    fn version(&mut self, resources: &LinuxResources) -> Result<u32> {
        match properties::depend_on_version(resources) {
            true => Ok(properties::version(&self.property("Version")?)),
            false => Ok(0),
        }
    }

    fn limits(&mut self, resources: &LinuxResources, places: &Places) -> Result<Vec<Property>> {
        match places {
            Places::Legacy(_) => properties::for_v1(resources),
            Places::Unified(_) => properties::for_v2(resources, self.version(resources)?),
        }
    }

    fn all_properties(
        &mut self,
        resources: Option<&LinuxResources>,
        places: &Places,
    ) -> Result<Vec<Property>> {
        let mut out = Vec::new();
        if let Some(resources) = resources {
            out.extend(self.limits(resources, places)?);
            out.extend(properties::at_birth(resources, self.version(resources)?));
        }
        out.extend(properties::of_devices(device_rules::of(resources))?);
        Ok(out)
    }

    fn start(&mut self, unit: &str, properties: Vec<Property>) -> Result<()> {
        let none: Vec<(String, Vec<Property>)> = Vec::new();
        let arguments = (unit, "replace", properties, none);
        let signature = "ssa(sv)a(sa(sv))";
        let begin = |systemd: &mut Self| systemd.job("StartTransientUnit", unit, &arguments, signature);
        let result = match begin(self) {
            Err(Error::BusReply { name, .. }) if name.ends_with(".UnitExists") => {
                // It may be what is left of an earlier container of this name.
                self.reset(unit);
                begin(self)
            }
            result => result,
        };
        let reason = match result {
            Ok(Some(result)) if result == "done" || result == FORGOTTEN => return Ok(()),
            Ok(Some(result)) => format!("error creating systemd unit `{unit}`: got `{result}`"),
            Ok(None) => format!("Timeout waiting for systemd to create {unit}"),
            Err(error) => format!("unable to start unit {unit:?}: {error}"),
        };
        self.reset(unit);
        Err(Error::Systemd { reason })
    }

    /// Begins a job and waits until it is over; returns what became of it, or nothing if it takes too long.
    fn job<T: Serialize + zbus::Type>(
        &mut self,
        member: &str,
        unit: &str,
        arguments: &T,
        signature: &'static str,
    ) -> Result<Option<String>> {
        self.connection.watch(method("JobRemoved"))?;
        self.call("Subscribe", &Arguments::none()).or_else(|error| match error {
            // By an earlier job on this connection.
            Error::BusReply { name, .. } if name.ends_with(".AlreadySubscribed") => {
                Ok(crate::bus::Body::empty())
            }
            error => Err(error),
        })?;
        let (job,): (OwnedObjectPath,) = self.call(member, &Arguments::new(signature, arguments)?)?.read()?;
        let mine = |body: &crate::bus::Body| {
            let (_, path, of, result): (u32, OwnedObjectPath, String, String) = body.read().ok()?;
            (path == job && of == unit).then_some(result)
        };
        for _ in 0..JOB.as_secs() {
            let told = self.connection.wait("JobRemoved", Duration::from_secs(1), mine)?;
            // A manager that reloads itself meanwhile forgets whom to tell.
            match told {
                Some(result) => return Ok(Some(result)),
                None if !self.exists(job.as_str()) => return Ok(Some(FORGOTTEN.into())),
                None => {}
            }
        }
        Ok(None)
    }

    fn exists(&mut self, job: &str) -> bool {
        let get = Method { path: job, interface: "org.freedesktop.DBus.Properties", ..method("Get") };
        let arguments = Arguments::new("ss", &("org.freedesktop.systemd1.Job", "State"));
        let answer = arguments.and_then(|arguments| self.connection.call(get, &arguments));
        !matches!(answer, Err(Error::BusReply { .. }))
    }

    fn reset(&mut self, unit: &str) {
        if let Ok(arguments) = Arguments::new("s", &(unit,)) {
            // There is mostly nothing to reset, which systemd calls an error.
            let _ = self.call("ResetFailedUnit", &arguments);
        }
    }
}

fn method(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
    }
}
