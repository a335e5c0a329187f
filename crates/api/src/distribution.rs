//! `GET /distribution/{name}/json`: what a registry has under a name, asked through the engine.

use crate::descriptor::{Descriptor, Platform};
use crate::wire::wire;

wire! {
    /// The manifest a name resolves to and the platforms it serves.
    pub struct DistributionInspect {
        pub descriptor: Descriptor,
        pub platforms: Vec<Platform>,
    }
}
