//! The words of a command line: flags as Go programs take them, because callers are written for runc.
//!
//! ```text
//! --name value   --name=value   -name value   -n value   --switch   --switch=false   --   (flags end)
//! ```
//!
//! Flags may stand between the other words, except where those are a program's. A flag that takes one value keeps the
//! last that is given. What a verb takes is a table (`Syntax`), from which the help is written too. A crate for this would
//! build all of its tables for every start of a runtime that lives for milliseconds: clap took a tenth of an `exec`.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// One flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag {
    name: &'static str,
    short: Option<char>,
    /// What the help calls its value; a switch has none.
    value: Option<&'static str>,
    /// Nothing for a flag that the help leaves out.
    help: &'static str,
}

impl Flag {
    /// A flag that is there or not.
    pub(super) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: None, help }
    }

    /// A flag with a value.
    pub(super) const fn with(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: Some(value), help }
    }

    /// With a name of one letter.
    pub(super) const fn or(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }
}

/// What a verb takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syntax {
    pub(super) verb: &'static str,
    pub(super) about: &'static str,
    /// The words after the flags, as the help shows them.
    pub(super) words: &'static str,
    /// The least and the most of them.
    pub(super) count: (usize, usize),
    /// Where the words may be another program's, flags end at the first of them.
    pub(super) open: bool,
    pub(super) flags: &'static [Flag],
}

/// The words that stand for a container.
pub(super) const CONTAINER: &str = "<container-id>";

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    flags: Vec<(&'static str, OsString)>,
    /// The words that are no flags.
    pub(super) words: Vec<OsString>,
}

/// Sorts `arguments` by what `syntax` knows. `None` when help is asked for.
pub(super) fn parse(syntax: &Syntax, arguments: impl Iterator<Item = OsString>) -> Result<Option<Given>> {
    let mut arguments = arguments;
    let mut given = Given::default();
    while let Some(argument) = arguments.next() {
        match flag(syntax, &argument)? {
            Word::Plain => {
                given.words.push(argument);
                if syntax.open {
                    break;
                }
            }
            Word::End => break,
            Word::Help => return Ok(None),
            Word::Flag(flag, Some(value)) => given.flags.push((flag.name, value)),
            Word::Flag(Flag { name, value: None, .. }, None) => given.flags.push((name, "true".into())),
            Word::Flag(Flag { name, .. }, None) => match arguments.next() {
                Some(value) => given.flags.push((name, value)),
                None => return Err(usage(format!("flag needs an argument: {}", argument.display()))),
            },
        }
    }
    given.words.extend(arguments);
    Ok(Some(given))
}

/// Whether `given` has as many words as `syntax` asks for.
pub(super) fn check(syntax: &Syntax, given: &Given) -> Result<()> {
    let (least, most) = syntax.count;
    let (count, verb) = (given.words.len(), syntax.verb);
    let fault = match count {
        _ if least == most && count != least => format!("requires exactly {least}"),
        _ if count < least => format!("requires a minimum of {least}"),
        _ if count > most => format!("requires a maximum of {most}"),
        _ => return Ok(()),
    };
    Err(usage(format!("{verb:?} {fault} argument(s)")))
}

enum Word<'a> {
    Plain,
    End,
    Help,
    Flag(&'a Flag, Option<OsString>),
}

fn flag<'a>(syntax: &'a Syntax, argument: &OsStr) -> Result<Word<'a>> {
    let bytes = argument.as_encoded_bytes();
    let name = match bytes {
        b"--" => return Ok(Word::End),
        [b'-', b'-', name @ ..] | [b'-', name @ ..] if !name.is_empty() => name,
        _ => return Ok(Word::Plain),
    };
    let (name, value) = match name.iter().position(|byte| *byte == b'=') {
        Some(at) => (&name[..at], Some(value_after(argument, bytes.len() - name.len() + at + 1))),
        None => (name, None),
    };
    let mut letter = [0; 4];
    let known = syntax.flags.iter().find(|flag| {
        flag.name.as_bytes() == name
            || flag.short.is_some_and(|short| short.encode_utf8(&mut letter).as_bytes() == name)
    });
    match known {
        Some(flag) => Ok(Word::Flag(flag, value)),
        None if matches!(name, b"help" | b"h") => Ok(Word::Help),
        None => Err(usage(format!("flag provided but not defined: -{}", String::from_utf8_lossy(name)))),
    }
}

/// The value in `--name=value`, which may be anything that the kernel passes on.
fn value_after(argument: &OsStr, at: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(argument.as_bytes().get(at..).unwrap_or_default()).into()
}

pub(super) fn usage(reason: String) -> Error {
    Error::Usage { reason }
}

fn invalid(value: &OsStr, name: &str, reason: &str) -> Error {
    usage(format!("invalid value {:?} for flag -{name}: {reason}", value.to_string_lossy()))
}

impl Given {
    /// The last value of a flag.
    pub(super) fn last(&self, name: &str) -> Option<&OsStr> {
        self.flags.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Every value of a flag.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        self.flags.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// A flag's value as a path; nothing for an empty one.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.last(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A flag's value as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        self.last(name).map(|value| text(value, name)).transpose()
    }

    /// Every value of a flag as text.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.all(name).map(|value| text(value, name)).collect()
    }

    /// A flag's value as a number, or whatever else can be read from a text.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.last(name).map(|value| number(value, name)).transpose()
    }

    /// Every value of a flag as a number.
    pub(super) fn numbers<T: FromStr>(&self, name: &str) -> Result<Vec<T>> {
        self.all(name).map(|value| number(value, name)).collect()
    }

    /// Whether a switch is on.
    pub(super) fn on(&self, name: &str) -> Result<bool> {
        let Some(value) = self.last(name) else { return Ok(false) };
        match value.as_encoded_bytes() {
            b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok(true),
            b"0" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok(false),
            _ => Err(invalid(value, name, "parse error")),
        }
    }

    /// The container that the first word names.
    pub(super) fn container(&self) -> Result<String> {
        let id = self.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        if id.is_empty() { Err(usage("container id cannot be empty".into())) } else { Ok(id) }
    }

    /// The words after the first as text.
    pub(super) fn rest(&self) -> Result<Vec<String>> {
        self.words.iter().skip(1).map(|word| text(word, "argument")).collect()
    }
}

fn text(value: &OsStr, name: &str) -> Result<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| invalid(value, name, "not UTF-8"))
}

fn number<T: FromStr>(value: &OsStr, name: &str) -> Result<T> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| invalid(value, name, "parse error"))
}

/// The help of a verb; `own` is how the program is called.
pub(super) fn help(own: &str, syntax: &Syntax) -> String {
    let Syntax { verb, about, words, flags, .. } = syntax;
    let mut out =
        format!("{about}\n\nUsage: {own} {verb} [options] {words}").trim_end().to_owned() + "\n\nOptions:\n";
    list(&mut out, flags);
    out
}

/// Adds a line for each flag that has a help.
pub(super) fn list(out: &mut String, flags: &[Flag]) {
    for flag in flags.iter().filter(|flag| !flag.help.is_empty()) {
        let short = flag.short.map_or("    ".into(), |short| format!("-{short}, "));
        let value = flag.value.map_or(String::new(), |value| format!(" <{value}>"));
        let left = format!("{short}--{}{value}", flag.name);
        // Nothing refuses text for a String.
        let _ = writeln!(out, "  {left:32} {}", flag.help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNTAX: Syntax = Syntax {
        verb: "test",
        about: "About",
        words: "<container-id> [words]",
        count: (1, 2),
        open: false,
        flags: &[
            Flag::with("bundle", "path", "Where").or('b'),
            Flag::switch("detach", "Leave").or('d'),
            Flag::switch("secret", ""),
        ],
    };

    fn given(words: &[&str], open: bool) -> Result<Option<Given>> {
        parse(&Syntax { open, ..SYNTAX }, words.iter().map(OsString::from))
    }

    #[test]
    fn flags_are_taken_in_every_way_that_go_has() {
        for (words, bundle, detach, rest) in [
            (&["c"][..], None, false, &["c"][..]),
            (&["--bundle", "x", "c"], Some("x"), false, &["c"]),
            (&["-bundle=x", "-d", "c"], Some("x"), true, &["c"]),
            (&["-b", "", "c", "--detach"], Some(""), true, &["c"]),
            (&["-b=a=b", "--detach=false", "c"], Some("a=b"), false, &["c"]),
            (&["-b", "one", "-b", "two", "c"], Some("two"), false, &["c"]),
            (&["-d", "--", "-b", "c"], None, true, &["-b", "c"]),
            (&["-b", "--detach", "-"], Some("--detach"), false, &["-"]),
        ] {
            let given = given(words, false).unwrap().unwrap();
            assert_eq!(given.last("bundle"), bundle.map(OsStr::new), "{words:?}");
            assert_eq!(given.on("detach").unwrap(), detach, "{words:?}");
            assert_eq!(given.words, rest, "{words:?}");
        }
        let program = given(&["-d", "c", "ls", "-d", "--", "x"], true).unwrap().unwrap();
        assert_eq!(program.words, ["c", "ls", "-d", "--", "x"]);
        assert_eq!(given(&["c", "--help"], false).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_told_in_gos_words() {
        for (words, reason) in [
            (&["--nope"][..], "flag provided but not defined: -nope"),
            (&["-x=1"], "flag provided but not defined: -x"),
            (&["c", "-b"], "flag needs an argument: -b"),
            (&["--detach=maybe", "c"], r#"invalid value "maybe" for flag -detach: parse error"#),
            (&[], r#""test" requires a minimum of 1 argument(s)"#),
            (&["a", "b", "c"], r#""test" requires a maximum of 2 argument(s)"#),
            (&[""], "container id cannot be empty"),
        ] {
            let error = given(words, false).and_then(|given| {
                let given = given.unwrap();
                check(&SYNTAX, &given)?;
                given.on("detach").and_then(|_| given.container()).map(drop)
            });
            assert_eq!(error.unwrap_err().to_string(), reason, "{words:?}");
        }
    }

    #[test]
    fn the_help_shows_what_is_not_hidden() {
        let help = help("barge-runc", &SYNTAX);
        assert!(help.contains("barge-runc test [options] <container-id> [words]"), "{help}");
        assert!(help.contains("  -b, --bundle <path>") && !help.contains("secret"), "{help}");
    }
}
