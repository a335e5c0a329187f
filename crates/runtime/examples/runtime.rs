//! The runtime's command line as a program of its own, for this crate's tests and benchmarks.
//!
//! Called as `docker-init` it is the small init of containers.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if std::path::Path::new(&name).ends_with("docker-init") {
        return barge_runtime::pid_one_main(args.collect());
    }
    barge_runtime::main(args.collect())
}
