//! The steps of continuous integration, each a command that a person could run by hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::guest::Host;

use crate::cgroups::swept;

/// Every step, in the order in which a failure is cheapest to find.
pub(crate) fn all() -> Result<()> {
    lint()?;
    unit_and_kernel_tests()?;
    end_to_end_tests()
}

/// Format, lints, house rules, documentation and dependency policy.
pub(crate) fn lint() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    step("tidy", crate::tidy::check)?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    deny()
}

/// The tests beside the code and those of each crate against the real kernel.
pub(crate) fn unit_and_kernel_tests() -> Result<()> {
    // The crates whose tests start shims and daemons drive the same binary that users get.
    let binary = release_binary()?;
    swept(|| {
        cargo(
            &["test", "--workspace", "--exclude", "barge-e2e", "--locked", "--no-fail-fast"],
            &[("BARGE_BIN", &binary.to_string_lossy())],
        )
    })?;
    for (name, host) in [("guest", Host::Bare), ("guest with systemd", Host::Systemd)] {
        step(name, || crate::guest::run(host, &["--workspace", "--exclude", "barge-e2e"], None))?;
    }
    Ok(())
}

/// The real binary, a real registry and real clients.
pub(crate) fn end_to_end_tests() -> Result<()> {
    let binary = release_binary()?;
    swept(|| {
        cargo(
            &["test", "--package", "barge-e2e", "--locked", "--no-fail-fast"],
            &[("BARGE_BIN", &binary.to_string_lossy())],
        )
    })?;
    step("engine in the guest", || crate::guest::run_engine(&binary))
}

/// The engine on a host with cgroup v2 alone.
pub(crate) fn engine_in_guest() -> Result<()> {
    crate::guest::run_engine(&release_binary()?)
}

/// Builds the binary as it is released and returns where it lies.
fn release_binary() -> Result<PathBuf> {
    cargo(&["build", "--release", "--package", "barge", "--locked"], &[])?;
    released()
}

/// As [`release_binary`], with a link map beside it.
pub(crate) fn release_binary_with_map(map: &Path) -> Result<PathBuf> {
    let flag = format!("link-arg=-Wl,-Map={}", map.display());
    cargo(
        &["rustc", "--release", "--package", "barge", "--bin", "barge", "--locked", "--", "-C", &flag],
        &[],
    )?;
    released()
}

fn released() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let host = Command::new("rustc").arg("-vV").output().context("ask rustc for the host triple")?;
    let host = String::from_utf8_lossy(&host.stdout);
    let triple = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let binary = target.join(triple).join("release/barge");
    ensure!(binary.is_file(), "{} was not built", binary.display());
    Ok(binary.canonicalize()?)
}

fn deny() -> Result<()> {
    if Command::new("cargo-deny").arg("--version").output().is_err() {
        // Unoptimised: it is built in half the time and used for seconds.
        cargo(&["install", "cargo-deny", "--locked", "--debug", "--quiet"], &[])?;
    }
    cargo(&["deny", "--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"], &[])
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    step(&format!("cargo {}", arguments.join(" ")), || {
        let status = Command::new("cargo")
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(root())
            .status()
            .context("start cargo")?;
        ensure!(status.success(), "cargo {} ended with {status}", arguments.join(" "));
        Ok(())
    })
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("== {name}"));
    let started = Instant::now();
    work()?;
    say(&format!("== {name}: {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Writes a line to standard error; a closed stream is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
