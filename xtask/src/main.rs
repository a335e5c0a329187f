//! The house's own checks and chores: `cargo xtask ci|lint|tidy|test|guest [--systemd|--engine] [FILTER]|e2e|layout`.
//!
//! `ci` is exactly what continuous integration runs:
//! fmt -> clippy -> tidy -> doc -> deny -> unit and kernel tests, here and in the guest -> end-to-end tests.

mod cgroups;
mod ci;
mod guest;
mod layout;
mod tidy;

use std::process::ExitCode;

fn in_guest(mut arguments: Vec<String>) -> anyhow::Result<()> {
    let host = match arguments.first().map(String::as_str) {
        Some("--engine") => return ci::engine_in_guest(),
        Some("--systemd") => {
            arguments.remove(0);
            guest::Host::Systemd
        }
        _ => guest::Host::Bare,
    };
    guest::run(host, &["--package", "barge-runtime"], arguments.first().map(String::as_str))
}

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "ci" => ci::all(),
        "lint" => ci::lint(),
        "test" => ci::unit_and_kernel_tests(),
        "guest" => in_guest(std::env::args().skip(2).collect()),
        "e2e" => ci::end_to_end_tests(),
        "layout" => layout::renew(),
        "tidy" => tidy::check(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask ci|lint|tidy|test|guest|e2e|layout")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ci::say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
