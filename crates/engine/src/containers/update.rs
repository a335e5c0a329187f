//! Update: other limits and another restart policy, for a container that runs or not.

use std::sync::Arc;

use barge_api::containers::{Resources, UpdateRequest, UpdateResponse};
use barge_api::events::action;

use super::Containers;
use super::lifecycle::Status;
use super::spec::check;
use super::spec::host::Host;
use super::spec::resources::{self, Purpose};
use super::task::Owner;
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Containers {
    /// Changes its limits and restart policy.
    pub async fn update(
        &self,
        engine: &Arc<Engine>,
        id: &str,
        mut request: UpdateRequest,
    ) -> Result<UpdateResponse> {
        check::restart_policy(&request.restart_policy)?;
        let warnings = resources::check(&mut request.resources, Host::here(), Purpose::Update)?;
        let container = self.index.find(id)?;
        let updated = container.ask(move |owner| Box::pin(owner.update(request))).await;
        updated.map_err(|error| error.within(format!("Cannot update container {}", container.id)))?;
        super::task::announce(engine, &container.view().document, action::UPDATE, &[]);
        Ok(UpdateResponse { warnings })
    }
}

impl Owner {
    async fn update(&mut self, request: UpdateRequest) -> Result<()> {
        if matches!(self.document.status, Status::Removing(_) | Status::Dead(_)) {
            return Err(Error::conflict("container is marked for removal and cannot be updated"));
        }
        let mut changed = self.document.host_config.clone();
        if !request.restart_policy.name.is_empty() {
            if changed.auto_remove && request.restart_policy.name != "no" {
                return Err(Error::invalid(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container",
                ));
            }
            changed.restart_policy = request.restart_policy;
        }
        merge(&mut changed.resources, request.resources)?;
        if let Some(live) = &self.live {
            let limits = resources::oci(&changed.resources)?;
            live.shim.update(limits).await.map_err(|error| super::shim_error(&error))?;
        }
        self.document.host_config = changed;
        self.persist();
        self.publish();
        Ok(())
    }
}

/// Takes over what the update names, and checks the limits that depend on each other.
fn merge(old: &mut Resources, new: Resources) -> Result<()> {
    fn take<T: Default + PartialEq>(old: &mut T, new: T) {
        if new != T::default() {
            *old = new;
        }
    }
    if new.nano_cpus > 0 && (old.cpu_period > 0 || old.cpu_quota > 0) {
        return Err(Error::conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ));
    }
    if old.nano_cpus > 0 && (new.cpu_period > 0 || new.cpu_quota > 0) {
        return Err(Error::conflict(
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ));
    }
    // With a new memory limit above the old sum of memory and swap, the kernel would refuse the one without the other.
    if new.memory > 0 && new.memory_swap == 0 && old.memory_swap > 0 && new.memory > old.memory_swap {
        return Err(Error::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    take(&mut old.blkio_weight, new.blkio_weight);
    take(&mut old.cpu_shares, new.cpu_shares);
    take(&mut old.nano_cpus, new.nano_cpus);
    take(&mut old.cpu_period, new.cpu_period);
    take(&mut old.cpu_quota, new.cpu_quota);
    take(&mut old.cpu_realtime_period, new.cpu_realtime_period);
    take(&mut old.cpu_realtime_runtime, new.cpu_realtime_runtime);
    take(&mut old.cpuset_cpus, new.cpuset_cpus);
    take(&mut old.cpuset_mems, new.cpuset_mems);
    take(&mut old.memory, new.memory);
    take(&mut old.memory_swap, new.memory_swap);
    take(&mut old.memory_reservation, new.memory_reservation);
    take(&mut old.pids_limit, new.pids_limit);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let mut old =
            Resources { memory: 64 << 20, memory_swap: 128 << 20, cpu_shares: 5, ..Resources::default() };
        merge(&mut old, Resources { memory: 32 << 20, pids_limit: Some(3), ..Resources::default() }).unwrap();
        assert_eq!(
            (old.memory, old.memory_swap, old.cpu_shares, old.pids_limit),
            (32 << 20, 128 << 20, 5, Some(3))
        );
        let above_swap = Resources { memory: 256 << 20, ..Resources::default() };
        assert!(merge(&mut old, above_swap).is_err());
    }
}
