//! A small init for containers whose program is none: `docker run --init`.
//!
//! ```text
//! docker-init [-s] [--] PROGRAM ARG…
//!   ├─ child: own process group, the terminal's foreground, becomes PROGRAM
//!   └─ parent: every signal -> PROGRAM; SIGCHLD -> reap all; PROGRAM ended -> leave with its code
//! ```
//!
//! When it leaves as process 1 the kernel ends what is left in the container.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use barge_sys::process::{exit_now, fork, kill, reset_signals};
use barge_sys::signal::SignalFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, WaitStatus};

use crate::error::{Error, Kind, Result};
use crate::process::program;
use crate::signals::{SIGCHLD, passed_on};

/// Runs the program of `args` as process 1 should.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match supervise(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A closed standard error leaves the exit code to speak.
            let _ = writeln!(std::io::stderr(), "docker-init: {error}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        Kind::ExecutableNotFound => 127,
        Kind::ExecutableNotRunnable => 126,
        _ => 1,
    }
}

fn supervise(args: Vec<OsString>) -> Result<u8> {
    let arguments = arguments(args)?;
    let channel = SignalFd::block(&passed_on(&[])).map_err(|e| Error::Channel { source: e.into() })?;
    // Not clone3: Docker's seccomp profile, under which this runs, answers that with ENOSYS.
    let child = match fork().map_err(|e| Error::Clone { source: e.into() })? {
        Some(pid) => pid,
        None => match become_program(&arguments) {
            Ok(never) => match never {},
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "docker-init: {error}");
                exit_now(exit_code(&error).into())
            }
        },
    };
    loop {
        let mut ready = [PollFd::new(&channel, PollFlags::IN)];
        let _ = rustix::io::retry_on_intr(|| poll(&mut ready, None));
        while let Ok(Some(signal)) = channel.next() {
            if signal != SIGCHLD {
                // It may have ended just now: then SIGCHLD comes next.
                let _ = kill(child, signal);
            } else if let Some(code) = reap(child) {
                return Ok(code);
            }
        }
    }
}

/// The program and its arguments: what follows the options, of which `--` is the last.
fn arguments(args: Vec<OsString>) -> Result<Vec<CString>> {
    let mut rest = args.into_iter().peekable();
    while let Some(option) = rest.next_if(|arg| arg.as_encoded_bytes().starts_with(b"-")) {
        if option == "--" {
            break;
        }
    }
    let string = |arg: OsString| {
        CString::new(arg.into_vec())
            .map_err(|_| Error::Usage { reason: "an argument has a zero byte".into() })
    };
    let arguments = rest.map(string).collect::<Result<Vec<_>>>()?;
    if arguments.is_empty() {
        return Err(Error::Usage { reason: "usage: docker-init [-s] [--] PROGRAM ARG…".into() });
    }
    Ok(arguments)
}

/// Runs in the child. It leads a process group, so that a key of the terminal reaches it once: from the terminal.
fn become_program(arguments: &[CString]) -> Result<Infallible> {
    let failed = |what: &'static str| {
        move |errno: rustix::io::Errno| Error::Attribute { what: what.into(), source: errno.into() }
    };
    rustix::process::setpgid(None, None).map_err(failed("process group"))?;
    let own = rustix::process::getpgrp();
    // Still with SIGTTOU blocked, which a background process would be stopped by here.
    let _ = rustix::termios::tcsetpgrp(std::io::stdin().as_fd(), own);
    reset_signals().map_err(|e| Error::Attribute { what: "signals".into(), source: e.into() })?;
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok())
        .collect();
    let name = arguments.first().map(CString::as_c_str).unwrap_or_default();
    let file = program::find(name, &environment)?;
    Err(program::become_it(&file, arguments, &environment))
}

/// Reaps every process that has ended. The program's exit code when it was among them.
fn reap(program: i32) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == program {
            code = code_of(status);
        }
    }
    code
}

fn code_of(status: WaitStatus) -> Option<u8> {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_program() {
        let cases: [(&[&str], Option<&[&str]>); 5] = [
            (&["--", "sh", "-c", "true"], Some(&["sh", "-c", "true"])),
            (&["-s", "--", "--", "x"], Some(&["--", "x"])),
            (&["sh", "--"], Some(&["sh", "--"])),
            (&["--"], None),
            (&[], None),
        ];
        for (args, expected) in cases {
            let found = arguments(args.iter().map(OsString::from).collect()).ok();
            let found =
                found.map(|list| list.into_iter().map(|s| s.into_string().unwrap()).collect::<Vec<_>>());
            assert_eq!(
                found.as_deref(),
                expected.map(|l| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref()
            );
        }
    }
}
