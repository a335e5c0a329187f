//! The one binary: picks client, daemon, shim or runtime.

fn main() {}
