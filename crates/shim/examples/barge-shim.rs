//! The shim alone, as a program: what the integration tests spawn in place of the whole `barge` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    barge_shim::main(&args)
}
