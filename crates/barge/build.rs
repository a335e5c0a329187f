//! Tells the linker which functions lie together: see `cargo xtask layout`.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    // Other builds are for finding faults, not for being small; and what was traced is this processor's code, for which
    // rustc links with LLD. GNU ld, which it uses for others, takes long for so many patterns.
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_ARCH", "x86_64") {
        return;
    }
    let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", Path::new(&package).join("layout.ld").display());
}
