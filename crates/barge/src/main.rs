//! The one binary: who it is this time follows from the name it was called by, or its first word.
//!
//! ```text
//! barge-shim, barge shim       one container's supervisor      starts no async runtime, touches no TLS
//! barge-runc, barge runtime    the OCI runtime
//! docker-init                  process 1 of a container run with --init
//! dockerd, barged, barge daemon   the Engine API's server
//! barge hello                  what the built-in image barge/hello runs
//! anything else                the command line; `docker` and `barge` are the same
//! ```

mod hello;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_else(|| OsString::from("barge"));
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments: Vec<OsString> = arguments.collect();
    match name.as_str() {
        "barge-shim" => barge_shim::main(&arguments),
        "barge-runc" => barge_runtime::main(arguments),
        "docker-init" | "barge-init" => barge_runtime::pid_one_main(arguments),
        "dockerd" | "barged" => barge_daemon::main(arguments),
        _ => by_first_word(&name, arguments),
    }
}

fn by_first_word(name: &str, arguments: Vec<OsString>) -> ExitCode {
    let word = arguments.first().and_then(|word| word.to_str()).unwrap_or_default();
    match word {
        "shim" => barge_shim::main(&arguments),
        "runtime" => barge_runtime::main(without_word(arguments, "runtime")),
        "daemon" => barge_daemon::main(without_word(arguments, "daemon")),
        "hello" => hello::main(),
        _ => barge_cli::main(arguments, name),
    }
}

fn without_word(mut arguments: Vec<OsString>, word: &str) -> Vec<OsString> {
    if arguments.first().is_some_and(|first| first == word) {
        arguments.remove(0);
    }
    arguments
}
