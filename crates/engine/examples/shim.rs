//! The shim as a program of its own: what the engine's tests spawn in place of the whole `barge`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|word| word == "shim");
    let arguments: Vec<_> = arguments.collect();
    barge_shim::main(&arguments)
}
