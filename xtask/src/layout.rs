//! The order of the functions in the binary: those that a container's life runs through lie together.
//!
//! ```text
//! build with a link map ──> run two scripts under a tracer ──> crates/barge/layout.ld ──> crates/barge/build.rs: the linker
//! ```
//!
//! A process has its program's pages resident that it touches, and the 64 KiB around each. The few hundred kilobytes that
//! the runtime needs are spread over all of the one binary if they lie where the compiler left them; together they are
//! resident once and found with few faults. The order is kept as a file because it can't be found without root, a kernel
//! that makes containers, and this processor. What has been renamed since then lies where it always did: a stale file costs
//! memory, nothing else.

mod mangled;
mod map;
mod script;
#[cfg(target_arch = "x86_64")]
mod tracer;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::ci::{root, say};
use map::LinkMap;

/// What runs the binary that it is given, in the order in which what it touches shall lie: the runtime alone, then the engine.
const LIVES: [&str; 2] = ["xtask/src/layout/runtime.sh", "scripts/demo"];

/// Finds the order anew and writes it. Needs root, and x86-64 for the tracer.
pub(crate) fn renew() -> Result<()> {
    let directory = tempfile::tempdir().context("make a directory for the link map")?;
    let file = directory.path().join("link.map");
    let binary = crate::ci::release_binary_with_map(&file)?;
    let map = LinkMap::read(&file)?;
    let [runtime, engine] = crate::cgroups::swept(|| LIVES.map(|script| touched(script, &binary, &map)));
    let (runtime, engine) = (runtime?, engine?);
    let layout = script::Layout::new(&map, &runtime, &engine);
    std::fs::write(root().join("crates/barge/layout.ld"), layout.text()).context("write the layout")?;
    say(&format!("layout: {} functions, {} KiB", layout.len(), layout.size() / 1024));
    Ok(())
}

/// The addresses of the functions that a script's processes run through, in the order of their first call.
fn touched(script: &str, binary: &Path, map: &LinkMap) -> Result<Vec<u64>> {
    let touched = trace(&root().join(script), binary, map).with_context(|| format!("trace {script}"))?;
    ensure!(!touched.is_empty(), "{script} ran through no function of {}", binary.display());
    say(&format!("layout: {script}: {} functions", touched.len()));
    Ok(touched)
}

#[cfg(target_arch = "x86_64")]
fn trace(script: &Path, binary: &Path, map: &LinkMap) -> Result<Vec<u64>> {
    tracer::Tracer::new(binary, map)?.run(script)
}

#[cfg(not(target_arch = "x86_64"))]
fn trace(_: &Path, _: &Path, _: &LinkMap) -> Result<Vec<u64>> {
    anyhow::bail!("the tracer knows the registers and breakpoints of x86-64 alone")
}
