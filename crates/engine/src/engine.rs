//! The engine: all nouns of one data root, opened together.

use std::sync::Arc;

use crate::config::Config;
use crate::containers::Containers;
use crate::error::Result;
use crate::events::Events;
use crate::exec::Execs;
use crate::images::Images;
use crate::networks::Networks;
use crate::system::System;
use crate::volumes::Volumes;

/// One engine over one data root. Only one may be open on a data root at a time: the daemon's pid file sees to that.
pub struct Engine {
    pub config: Config,
    pub containers: Containers,
    pub execs: Execs,
    pub images: Images,
    pub networks: Networks,
    pub volumes: Volumes,
    pub events: Events,
    pub system: System,
}

impl Engine {
    /// Opens the data root, takes over the containers that still run and applies the restart policies of the others.
    ///
    /// # Errors
    /// [`Kind::System`](crate::Kind::System) if a root cannot be made or read. A container that cannot be restored
    /// is no error: it is logged and shown as dead.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let engine = Arc::new(Self {
            containers: Containers::new(),
            execs: Execs::new(),
            images: Images::open(&config)?,
            networks: Networks::open(&config)?,
            volumes: Volumes::open(&config.data_root)?,
            events: Events::new(),
            system: System::new(),
            config,
        });
        Containers::restore(&engine).await?;
        Ok(engine)
    }
}
