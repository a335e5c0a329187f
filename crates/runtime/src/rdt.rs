//! Groups of resctrl, by which processors share caches and memory bandwidth (`linux.intelRdt`, config-linux.md).
//!
//! ```text
//! <resctrl>/<closID, or the container's id>/schemata             what the group may use
//! <resctrl>/<closID, or the container's id>/tasks                who is in it
//! <resctrl>/<…>/mon_groups/<the container's id>/tasks            who is counted apart (enableMonitoring)
//! ```
//!
//! A group that a specification names is its owner's, and stays; one that has the container's name goes with it. The
//! older flags `enableCMT` and `enableMBM` never meant anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{Linux, LinuxIntelRdt, Spec};

use crate::cgroup::mounted_at;
use crate::error::{Error, Result};
use crate::plan::invalid;

const FIELD: &str = "linux.intelRdt";

/// What a container wants of resctrl. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RdtPlan {
    id: String,
    /// The group that the specification names; without it the container gets one of its own.
    group: Option<String>,
    /// Lines that a group which is there already has to agree with.
    agreed: Vec<String>,
    /// Lines that are written in any case, after the others.
    written: Vec<String>,
    monitored: bool,
}

impl RdtPlan {
    /// As [`RdtPlan::of`], from the whole of a specification.
    pub(crate) fn of_spec(spec: &Spec, id: &str) -> Result<Option<Self>> {
        spec.linux().as_ref().map_or(Ok(None), |linux| Self::of(linux, id))
    }

    /// The wishes of a container; `None` for most.
    pub(crate) fn of(linux: &Linux, id: &str) -> Result<Option<Self>> {
        let Some(rdt) = linux.intel_rdt() else { return Ok(None) };
        let group = rdt.clos_id().clone().filter(|name| !name.is_empty());
        if let Some(name) = group.as_deref().filter(|name| !is_group(name)) {
            return Err(invalid(FIELD, format!("invalid intelRdt.ClosID {name:?}")));
        }
        let line = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (cache, bandwidth) = (line(rdt.l3_cache_schema()), line(rdt.mem_bw_schema()));
        if bandwidth.as_ref().is_some_and(|line| !line.starts_with("MB:")) {
            return Err(invalid(FIELD, "memBwSchema does not begin with MB:"));
        }
        let written: Vec<String> =
            rdt.schemata().iter().flatten().filter(|line| !line.is_empty()).cloned().collect();
        let agreed: Vec<String> = cache.into_iter().chain(bandwidth).collect();
        if let Some(line) = agreed.iter().chain(&written).find(|line| line.contains('\n')) {
            return Err(invalid(FIELD, format!("{line:?} is more than one line")));
        }
        let monitored = rdt.enable_monitoring() == &Some(true);
        Ok(Some(Self { id: id.into(), group, agreed, written, monitored }))
    }
}

impl RdtPlan {
    /// The wishes of a container with other schemas, where they are given, and a plan of those alone to
    /// [update](RdtPlan::update) it with.
    pub(crate) fn changing(
        linux: &Linux,
        id: &str,
        cache: Option<String>,
        bandwidth: Option<String>,
    ) -> Result<(LinuxIntelRdt, Self)> {
        let present = linux.intel_rdt().as_ref();
        let present =
            present.ok_or_else(|| invalid(FIELD, "the container was made without a group of resctrl"))?;
        let with = |cache, bandwidth| {
            let mut rdt = present.clone();
            rdt.set_l3_cache_schema(cache).set_mem_bw_schema(bandwidth);
            rdt
        };
        let mut alone = linux.clone();
        alone.set_intel_rdt(Some(with(cache.clone(), bandwidth.clone())));
        let kept = with(
            cache.or_else(|| present.l3_cache_schema().clone()),
            bandwidth.or_else(|| present.mem_bw_schema().clone()),
        );
        let plan = Self::of(&alone, id)?.ok_or_else(|| invalid(FIELD, "nothing to change"))?;
        Ok((kept, plan))
    }
}

/// A plain name, or `/` for the group that all belong to who are in no other.
fn is_group(name: &str) -> bool {
    name == "/" || !(name.contains('/') || matches!(name, "." | ".."))
}

/// A container's part in resctrl, taken back unless somebody keeps it.
#[derive(Debug)]
pub(crate) struct Membership(Option<(RdtPlan, PathBuf)>);

impl Membership {
    /// Makes the groups that `plan` asks for and puts a process into them.
    pub(crate) fn begin(plan: &RdtPlan, pid: i32) -> Result<Self> {
        let root = plan.mounted()?;
        let membership = Self(Some((plan.clone(), root.clone())));
        plan.make(&root)?;
        plan.join(&root, pid)?;
        Ok(membership)
    }

    /// It is removed with the container, by [`RdtPlan::remove`].
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some((plan, root)) = &self.0 {
            // The failure that led here is what the caller hears of.
            let _ = plan.remove_from(root);
        }
    }
}

impl RdtPlan {
    /// Puts one more process of the container into its groups.
    pub(crate) fn add(&self, pid: i32) -> Result<()> {
        self.join(&self.mounted()?, pid)
    }

    /// Changes what the container's group may use to what this plan has of its own lines.
    pub(crate) fn update(&self) -> Result<()> {
        self.update_below(&self.mounted()?)
    }

    fn update_below(&self, root: &Path) -> Result<()> {
        check_enabled(root, &self.agreed)?;
        write_schemata(root, &self.directory(root), &self.agreed)
    }

    /// Removes what belongs to the container alone; its processes have ended.
    pub(crate) fn remove(&self) -> Result<()> {
        self.own().map_or(Ok(()), |own| remove_group(&own))
    }

    /// What belongs to the container alone, relative to where the filesystem is.
    pub(crate) fn own(&self) -> Option<PathBuf> {
        match &self.group {
            // Its monitors go with it.
            None => Some(self.directory(Path::new(""))),
            Some(_) => self.monitor(Path::new("")),
        }
    }

    /// Where the filesystem is; an error in runc's words on hosts that have none.
    pub(crate) fn mounted(&self) -> Result<PathBuf> {
        mounted_at("resctrl")?.ok_or_else(|| {
            invalid(FIELD, "intelRdt is specified in config, but Intel RDT is not supported or enabled")
        })
    }

    fn directory(&self, root: &Path) -> PathBuf {
        match self.group.as_deref() {
            Some("/") => root.into(),
            Some(name) => root.join(name),
            None => root.join(&self.id),
        }
    }

    fn monitor(&self, root: &Path) -> Option<PathBuf> {
        self.monitored.then(|| self.directory(root).join("mon_groups").join(&self.id))
    }

    fn make(&self, root: &Path) -> Result<()> {
        check_enabled(root, &self.agreed)?;
        let directory = self.directory(root);
        let found = directory.is_dir();
        let lines = match (&self.group, found) {
            // Who names a group and says nothing of it, or just what it has, takes it as it is.
            (Some(_), true) => {
                self.compare(&directory)?;
                self.written.clone()
            }
            (Some(_), false) if self.agreed.is_empty() && self.written.is_empty() => {
                return Err(failed(root, &directory, "find the group", ErrorKind::NotFound.into()));
            }
            (None, true) if !is_deserted(&directory) => {
                return Err(failed(root, &directory, "create", ErrorKind::AlreadyExists.into()));
            }
            _ => self.agreed.iter().chain(&self.written).cloned().collect(),
        };
        if !found {
            fs::create_dir(&directory).map_err(|error| failed(root, &directory, "create", error))?;
        }
        write_schemata(root, &directory, &lines)?;
        match self.monitor(root) {
            Some(monitor) => match fs::create_dir(&monitor) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    Err(failed(root, &monitor, "create", error))
                }
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Refuses a group that is there and allows something else.
    fn compare(&self, directory: &Path) -> Result<()> {
        if self.agreed.is_empty() {
            return Ok(());
        }
        let file = directory.join("schemata");
        let present = fs::read_to_string(&file).map_err(|error| failed(directory, &file, "read", error))?;
        match self.agreed.iter().find(|wanted| !has_line(&present, wanted)) {
            Some(line) => {
                let name = self.group.as_deref().unwrap_or_default();
                Err(invalid(FIELD, format!("{line:?} is not what the group {name:?} has")))
            }
            None => Ok(()),
        }
    }

    fn join(&self, root: &Path, pid: i32) -> Result<()> {
        let groups = std::iter::once(self.directory(root)).chain(self.monitor(root));
        groups.map(|group| group.join("tasks")).try_for_each(|file| {
            fs::write(&file, pid.to_string())
                .map_err(|error| failed(root, &file, &format!("add process {pid}"), error))
        })
    }

    fn remove_from(&self, root: &Path) -> Result<()> {
        self.own().map_or(Ok(()), |own| remove_below(root, &own))
    }
}

/// Refuses lines about what this host's processors can't share out.
fn check_enabled(root: &Path, lines: &[String]) -> Result<()> {
    for (resource, line) in lines.iter().filter_map(|line| Some((line.split_once(':')?.0, line))) {
        if !root.join("info").join(resource).exists() {
            return Err(invalid(FIELD, format!("{line:?}: {resource} is not enabled on this host")));
        }
    }
    Ok(())
}

fn write_schemata(root: &Path, directory: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let file = directory.join("schemata");
    fs::write(&file, lines.join("\n") + "\n")
        .map_err(|error| failed(root, &file, &format!("write {lines:?}"), error))
}

/// Removes what [`RdtPlan::own`] named; its processes have ended. Not there at all is fine.
pub(crate) fn remove_group(own: &Path) -> Result<()> {
    mounted_at("resctrl")?.map_or(Ok(()), |root| remove_below(&root, own))
}

fn remove_below(root: &Path, own: &Path) -> Result<()> {
    let directory = root.join(own);
    match fs::remove_dir(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(root, &directory, "remove", error)),
        _ => Ok(()),
    }
}

/// Whether nobody is in a group: it is left of a container of this name that has ended unseen.
fn is_deserted(directory: &Path) -> bool {
    fs::read_to_string(directory.join("tasks")).is_ok_and(|tasks| tasks.trim().is_empty())
}

/// Whether the lines of a `schemata` file say all that `wanted` says. The kernel writes numbers in its own way.
fn has_line(present: &str, wanted: &str) -> bool {
    let Some((resource, values)) = parse(wanted) else { return false };
    present.lines().filter_map(parse).any(|(name, all)| {
        name == resource && values.iter().all(|(domain, value)| all.get(domain) == Some(value))
    })
}

/// `L3:0=ff;1=0f` as a name and the value of each domain.
fn parse(line: &str) -> Option<(&str, BTreeMap<&str, String>)> {
    let (name, values) = line.trim().split_once(':')?;
    let value = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
    let pairs = values.split(';').map(|pair| pair.split_once('=').map(|(id, text)| (id.trim(), value(text))));
    Some((name.trim(), pairs.collect::<Option<_>>()?))
}

/// The kernel says in a file what it did not like.
fn failed(root: &Path, path: &Path, operation: &str, source: io::Error) -> Error {
    let status = fs::read_to_string(root.join("info/last_cmd_status")).unwrap_or_default();
    let status = match status.trim() {
        "" | "ok" => String::new(),
        words => format!(" (last_cmd_status: {words})"),
    };
    Error::File {
        operation: format!("Intel RDT: {operation}{status}"),
        path: path.into(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests;
