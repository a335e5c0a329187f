//! What is decided without touching the host.

use super::*;
