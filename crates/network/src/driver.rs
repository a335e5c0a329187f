//! The face of a network driver: what the engine asks of any kind of network.
//!
//! ```text
//! up ──► join ──► leave ──► down
//!  ▲                          reconcile: after a restart, in place of all of these
//! ```

use std::os::fd::BorrowedFd;

use crate::error::Result;
use crate::network::{Endpoint, EndpointSpec, Network};

/// One kind of network. Every call either does all of its work or leaves nothing behind.
pub trait Driver: Send + Sync {
    /// Makes the network exist on this host. Idempotent, and cheap when it does.
    fn up(&self, network: &Network) -> Result<()>;

    /// Removes the network. Its endpoints must have left; what is gone already is no error.
    fn down(&self, network: &Network) -> Result<()>;

    /// Puts an interface for the endpoint into the sandbox and publishes its ports.
    fn join(&self, network: &Network, spec: &EndpointSpec, netns: BorrowedFd<'_>) -> Result<Endpoint>;

    /// Withdraws the endpoint's ports at once; its interface goes with the sandbox, or a little
    /// later if the sandbox lives on. What is gone already is no error.
    fn leave(&self, network: &Network, endpoint: &Endpoint) -> Result<()>;

    /// Like [`Driver::leave`], but the interface is gone from the sandbox on return.
    fn detach(&self, network: &Network, endpoint: &Endpoint) -> Result<()>;

    /// Makes the host agree with what is told: exactly these networks and endpoints exist.
    /// Rules and interfaces of others are dropped, missing ones are put back. An endpoint whose
    /// interface is gone can't be restored; its ports are published all the same.
    fn reconcile(&self, actual: &[(Network, Vec<Endpoint>)]) -> Result<()>;

    /// What on this host, outside of our control, will keep the networks from working.
    fn obstacles(&self) -> Vec<String>;
}
