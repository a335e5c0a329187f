//! What each API version sees: responses of the newest version cut back, requests of older ones brought up.

pub(crate) mod containers;
pub(crate) mod events;
pub(crate) mod images;
pub(crate) mod system;
