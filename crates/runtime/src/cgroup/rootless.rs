//! Containers of users who may make no cgroup, or not in every hierarchy.
//!
//! Such a container is left where its maker is, as runc does it: unless the specification names a cgroup, or a limit
//! that somebody would count on. Device rules are not missed: without privileges there is no device to make.

use std::path::Path;

use barge_oci::runtime_spec::LinuxResources;
use rustix::io::Errno;

use super::settings::{self, Absent};
use super::{Cgroup, Layout, Made, Places, v1, v2};
use crate::error::{Error, Result};
use crate::userns;

/// Whether somebody without rights over the host's cgroups has to expect this failure.
pub(crate) fn is_expected(error: &Error) -> bool {
    let refused = [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::NOENT].map(Errno::raw_os_error);
    matches!(error, Error::Cgroup { source, .. } if refused.contains(&source.errno()))
        && userns::is_unprivileged()
}

impl Cgroup {
    /// As [`Cgroup::create`], in the hierarchies only where this process may.
    pub(crate) fn create_where_allowed(
        layout: &Layout,
        path: &Path,
        resources: Option<&LinuxResources>,
    ) -> Result<Self> {
        let mut cgroup = Self::locate(layout, path)?;
        let unified = matches!(cgroup.places, Places::Unified(_));
        let made = cgroup.furnish_where_allowed().and_then(|places| {
            cgroup.places = places;
            resources.map_or(Ok(()), |resources| cgroup.limit_where_allowed(resources, unified))
        });
        // The first failure is what the caller wants to hear of.
        made.inspect_err(|_| cgroup.abandon())?;
        Ok(cgroup)
    }

    /// Makes the directories that may be made, and says which those are.
    fn furnish_where_allowed(&self) -> Result<Places> {
        match &self.places {
            Places::Legacy(places) => {
                let mut allowed = Vec::new();
                for place in places {
                    if let Some(made) = made(place) {
                        self.check_made(&place.directory, made)?;
                        allowed.push(place.clone());
                    }
                }
                Ok(Places::Legacy(allowed))
            }
            Places::Unified(directory) => match v2::make(&self.path, directory) {
                Ok(made) => self.check_made(directory, made).map(|()| self.places.clone()),
                Err(error) if is_expected(&error) => Ok(Places::Legacy(Vec::new())),
                Err(error) => Err(error),
            },
        }
    }

    fn limit_where_allowed(&self, resources: &LinuxResources, unified: bool) -> Result<()> {
        let wanted = if unified { settings::for_v2(resources)? } else { settings::for_v1(resources)? };
        let there = |controller: &str| match &self.places {
            Places::Legacy(places) => places.iter().any(|place| place.has(controller)),
            Places::Unified(_) => true,
        };
        match wanted.iter().find(|setting| setting.absent == Absent::Refused && !there(setting.controller)) {
            Some(setting) => Err(Error::CgroupUnsupported {
                reason: format!(
                    "cannot set {} limit: container could not join or create cgroup",
                    setting.controller
                ),
            }),
            None => self.update(resources),
        }
    }
}

/// Whether the place is there and lets processes in. What was made for nothing is removed.
fn made(place: &v1::Place) -> Option<Made> {
    let made = place.make().and_then(|made| place.tasks().map(|_| made));
    made.inspect_err(|_| drop(std::fs::remove_dir(&place.directory))).ok()
}
