//! Signals by name or number, as `--stop-signal` and `kill` take them. Linux numbers of x86-64 and arm64.

use crate::error::{Error, Result};

const NAMES: [(&str, i32); 35] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", RT_MIN),
];

pub(crate) const KILL: i32 = 9;
pub(crate) const TERM: i32 = 15;
const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15` or `SIGRTMIN+3`.
///
/// # Errors
/// Invalid, with Docker's text, for anything that is no signal of Linux.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let refuse = || Error::invalid(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=RT_MAX).contains(&number) { Ok(number) } else { Err(refuse()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |digits: &str| digits.parse::<u8>().ok().map(i32::from);
    let number = if name == "RTMAX" {
        Some(RT_MAX)
    } else if let Some(digits) = name.strip_prefix("RTMIN+") {
        offset(digits).map(|offset| RT_MIN + offset)
    } else if let Some(digits) = name.strip_prefix("RTMAX-") {
        offset(digits).map(|offset| RT_MAX - offset)
    } else {
        None
    };
    number.filter(|number| (RT_MIN..=RT_MAX).contains(number)).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let cases = [
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigkill", Some(9)),
            ("9", Some(9)),
            ("64", Some(64)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-14", Some(50)),
            ("RTMAX", Some(64)),
            ("0", None),
            ("65", None),
            ("-1", None),
            ("", None),
            ("FOO", None),
            ("RTMIN+31", None),
            ("RTMAX-31", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).ok(), expected, "{text:?}");
        }
        assert_eq!(parse("FOO").unwrap_err().message(), "invalid signal: FOO");
    }
}
