//! Arguments to flags, in the manner of Go's pflag: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc`,
//! switches only with `=value`, `--` ends the flags.

use std::fmt;

use super::{FlagSet, Spec};

/// What was found on a command line.
#[derive(Debug)]
pub(crate) enum Parsed<F> {
    /// The flags, and the arguments that are none.
    Flags(F, Vec<String>),
    /// `--help` was asked for.
    Help,
}

/// Why a command line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    Unknown { flag: String },
    UnknownShort { flag: char, word: String },
    NoValue { flag: String },
    NoValueShort { flag: char, word: String },
    Value { flag: String, text: String, reason: String },
    Syntax { word: String },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { flag } => write!(f, "unknown flag: --{flag}"),
            Self::UnknownShort { flag, word } => write!(f, "unknown shorthand flag: '{flag}' in {word}"),
            Self::NoValue { flag } => write!(f, "flag needs an argument: --{flag}"),
            Self::NoValueShort { flag, word } => write!(f, "flag needs an argument: '{flag}' in {word}"),
            Self::Value { flag, text, reason } => {
                write!(f, "invalid argument {text:?} for \"{flag}\" flag: {reason}")
            }
            Self::Syntax { word } => write!(f, "bad flag syntax: {word}"),
        }
    }
}

/// Whether flags may follow the first argument that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// They may: `stop c -t 1`.
    Mixed,
    /// What follows belongs to somebody else: `run IMAGE ls -l`.
    FlagsFirst,
}

/// Reads `args` into the flags of `F`.
pub(crate) fn parse<F: FlagSet>(args: Vec<String>, order: Order) -> Result<Parsed<F>, ParseError> {
    let specs = F::specs();
    let mut flags = F::defaults();
    let mut rest = Vec::new();
    let mut args = args.into_iter();
    while let Some(word) = args.next() {
        if word == "--" {
            rest.extend(args);
            break;
        }
        let outcome = if let Some(long) = word.strip_prefix("--") {
            parse_long(&mut flags, &specs, long, &word, &mut args)?
        } else if word.len() > 1 && word.starts_with('-') {
            parse_shorts(&mut flags, &specs, &word, &mut args)?
        } else {
            rest.push(word);
            if order == Order::FlagsFirst {
                rest.extend(args);
                break;
            }
            Outcome::Set
        };
        if let Outcome::Help = outcome {
            return Ok(Parsed::Help);
        }
    }
    Ok(Parsed::Flags(flags, rest))
}

enum Outcome {
    Set,
    Help,
}

type Rest = std::vec::IntoIter<String>;

fn parse_long<F: FlagSet>(
    flags: &mut F,
    specs: &[Spec],
    long: &str,
    word: &str,
    args: &mut Rest,
) -> Result<Outcome, ParseError> {
    let (name, joined) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(ParseError::Syntax { word: word.to_owned() });
    }
    let Some(index) = specs.iter().position(|spec| spec.long == name) else {
        return if name == "help" {
            Ok(Outcome::Help)
        } else {
            Err(ParseError::Unknown { flag: name.to_owned() })
        };
    };
    let spec = &specs[index];
    match joined {
        Some(value) => set(flags, spec, index, value)?,
        None if spec.is_switch => set(flags, spec, index, "true")?,
        None => {
            let value = args.next().ok_or_else(|| ParseError::NoValue { flag: name.to_owned() })?;
            set(flags, spec, index, &value)?;
        }
    }
    Ok(Outcome::Set)
}

fn parse_shorts<F: FlagSet>(
    flags: &mut F,
    specs: &[Spec],
    word: &str,
    args: &mut Rest,
) -> Result<Outcome, ParseError> {
    let mut letters = word[1..].chars();
    while let Some(letter) = letters.next() {
        let Some(index) = specs.iter().position(|spec| spec.short == Some(letter)) else {
            if letter == 'h' {
                return Ok(Outcome::Help);
            }
            return Err(ParseError::UnknownShort {
                flag: letter,
                word: format!("-{letter}{}", letters.as_str()),
            });
        };
        let spec = &specs[index];
        let joined = letters.as_str();
        if let Some(value) = joined.strip_prefix('=') {
            set(flags, spec, index, value)?;
            break;
        }
        if spec.is_switch {
            set(flags, spec, index, "true")?;
            continue;
        }
        if joined.is_empty() {
            let word = format!("-{letter}");
            let value = args.next().ok_or(ParseError::NoValueShort { flag: letter, word })?;
            set(flags, spec, index, &value)?;
        } else {
            set(flags, spec, index, joined)?;
        }
        break;
    }
    Ok(Outcome::Set)
}

fn set<F: FlagSet>(flags: &mut F, spec: &Spec, index: usize, text: &str) -> Result<(), ParseError> {
    flags.set(index, text).map_err(|reason| {
        let flag = match spec.short {
            Some(short) => format!("-{short}, --{}", spec.long),
            None => format!("--{}", spec.long),
        };
        ParseError::Value { flag, text: text.to_owned(), reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::flags;

    flags! {
        /// Some of each kind.
        pub(crate) struct Sample {
            detach: bool = "detach" / 'd', "Run in background";
            tty: bool = "tty" / 't', "Allocate a terminal";
            proxy: bool = "sig-proxy" or "true", "Proxy signals";
            env: Vec<String> = "env" / 'e', "Set variables";
            name: String = "name", "Assign a name";
            shares: i64 = "cpu-shares" / 'c', "CPU shares";
        }
    }

    fn read(line: &str, order: Order) -> Result<(Sample, Vec<String>), String> {
        let args = line.split_whitespace().map(str::to_owned).collect();
        match parse::<Sample>(args, order) {
            Ok(Parsed::Flags(flags, rest)) => Ok((flags, rest)),
            Ok(Parsed::Help) => Err("help".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn all_spellings_of_a_value() {
        for line in ["--env A=1 -eB=2 -e C=3 --env=D=4", "-dt -e A=1 -tdeB=2 -e=C=3 --env D=4"] {
            let (flags, rest) = read(line, Order::Mixed).unwrap();
            assert_eq!(flags.env, ["A=1", "B=2", "C=3", "D=4"], "{line}");
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn switches_take_a_value_only_when_joined() {
        let (flags, rest) = read("-d=false --tty true --sig-proxy=0", Order::Mixed).unwrap();
        assert!(!flags.detach && flags.tty && !flags.proxy);
        assert_eq!(rest, ["true"]);
        assert!(read("", Order::Mixed).unwrap().0.proxy);
    }

    #[test]
    fn flags_end_at_the_image() {
        let (flags, rest) = read("-t busybox -d --name x", Order::FlagsFirst).unwrap();
        assert!(flags.tty && !flags.detach && flags.name.is_empty());
        assert_eq!(rest, ["busybox", "-d", "--name", "x"]);
        let (flags, rest) = read("a -d b -- -t", Order::Mixed).unwrap();
        assert!(flags.detach && !flags.tty);
        assert_eq!(rest, ["a", "b", "-t"]);
        assert_eq!(read("- -d", Order::Mixed).unwrap().1, ["-"]);
    }

    #[test]
    fn errors_are_pflags() {
        let cases = [
            ("--nope", "unknown flag: --nope"),
            ("--nope=1", "unknown flag: --nope"),
            ("-dx", "unknown shorthand flag: 'x' in -x"),
            ("-xd", "unknown shorthand flag: 'x' in -xd"),
            ("--name", "flag needs an argument: --name"),
            ("-de", "flag needs an argument: 'e' in -e"),
            ("--=1", "bad flag syntax: --=1"),
            ("---d", "bad flag syntax: ---d"),
            (
                "--detach=maybe",
                r#"invalid argument "maybe" for "-d, --detach" flag: strconv.ParseBool: parsing "maybe": invalid syntax"#,
            ),
            (
                "-c x",
                r#"invalid argument "x" for "-c, --cpu-shares" flag: strconv.ParseInt: parsing "x": invalid syntax"#,
            ),
            ("--help", "help"),
            ("-dh", "help"),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line, Order::Mixed).unwrap_err(), expected, "{line}");
        }
    }
}
