//! Tells the linker which functions lie together: see `cargo xtask layout`.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    // Other builds are for finding faults, not for being small.
    let (Ok("release"), Ok(package)) = (env::var("PROFILE").as_deref(), env::var("CARGO_MANIFEST_DIR"))
    else {
        return;
    };
    let layout = Path::new(&package).join("layout.ld");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", layout.display());
}
