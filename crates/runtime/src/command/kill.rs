//! `kill`: a signal to a container's init, or to all of its processes.

use rustix::process::Signal;

use super::flags::{Flag, Given, Syntax};
use super::state::{Container, Status};
use super::{Globals, Verb};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "kill",
        about: "Send a signal to a container",
        words: "<container-id> [signal]",
        count: (1, 2),
        open: true,
        flags: &[Flag::switch("all", "Signal every process of the container").or('a')],
    },
    kill,
);

fn kill(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    let wanted = given.rest()?.pop().unwrap_or_else(|| "SIGTERM".into());
    let signal =
        number(&wanted).ok_or_else(|| Error::Usage { reason: format!("unknown signal {wanted:?}") })?;
    // With the first process of a pid namespace of its own all others end.
    let with_init = signal == Signal::KILL.as_raw() && !container.outlived();
    match given.on("all")?.then(|| container.processes()) {
        Some(Err(Error::CgroupUnsupported { .. })) if with_init => {}
        Some(known) => {
            known?;
            container.cgroup()?.signal_all(signal)?;
            return Ok(0);
        }
        None => {}
    }
    if container.stage()? == Status::Stopped {
        return Err(container.wrong(Status::Stopped, "kill"));
    }
    container.signal(signal)?;
    // Who is paused in version 1 does not even die.
    if signal == Signal::KILL.as_raw()
        && let Ok(cgroup) = container.cgroup()
        && cgroup.is_frozen()
    {
        cgroup.thaw()?;
    }
    Ok(0)
}

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const REAL_TIME: (i32, i32) = (34, 64);

/// A signal (or none, 0, which only asks whether there is a process) by number or by name, with or without `SIG`;
/// real-time ones as `RTMIN+3`, `RTMAX-1`.
fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=REAL_TIME.1).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(at).ok().map(|at| at + 1);
    }
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => REAL_TIME.0,
        (Some(rest), _) => REAL_TIME.0.checked_add(rest.strip_prefix('+')?.parse().ok()?)?,
        (_, Some("")) => REAL_TIME.1,
        (_, Some(rest)) => REAL_TIME.1.checked_sub(rest.strip_prefix('-')?.parse().ok()?)?,
        _ => return None,
    };
    (REAL_TIME.0..=REAL_TIME.1).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let cases = [
            ("SIGKILL", Some(9)),
            ("term", Some(15)),
            ("15", Some(15)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("RTMIN+99", None),
            ("RTMIN+2147483647", None),
            ("RTMIN+2147483648", None),
            ("RTMAX--2147483648", None),
            ("0", Some(0)),
            ("-1", None),
            ("65", None),
            ("FOO", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
