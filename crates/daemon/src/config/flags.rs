//! The command line: `--flag` texts to one JSON object, by the table of directives.

use std::ffi::OsString;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::directives::{DIRECTIVES, Directive, Kind};
use super::sizes::parse_bytes;
use crate::error::Error;

/// The parser of the daemon's command line.
fn command() -> Command {
    let args = DIRECTIVES.iter().filter(|directive| !directive.flag.is_empty()).map(argument);
    Command::new("dockerd")
        .about("A self-sufficient container engine that speaks Docker")
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .long("version")
                .short('v')
                .action(ArgAction::SetTrue)
                .help("Print the version"),
        )
        .args(args)
}

fn argument(directive: &'static Directive) -> Arg {
    let arg = Arg::new(directive.flag).long(directive.flag).help(directive.help).action(ArgAction::Append);
    let arg = match directive.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    match directive.kind {
        // Go's flags take a boolean's value only after `=`, so that `--debug foo` leaves foo an argument.
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(["true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"])
            .hide_possible_values(true)
            .value_name("BOOL"),
        Kind::Number => {
            arg.value_parser(clap::value_parser!(i64)).allow_negative_numbers(true).value_name("NUMBER")
        }
        Kind::Text => arg.value_name("TEXT"),
        _ => arg.value_parser(NonEmptyStringValueParser::new()).value_name("VALUE"),
    }
}

/// Parses the command line; the first word is the program's name.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Parsed, Error> {
    let matches = command().try_get_matches_from(args).map_err(Error::Usage)?;
    if matches.get_flag("version") {
        return Ok(Parsed::Version);
    }
    let mut flags = Map::new();
    for directive in DIRECTIVES.iter().filter(|directive| !directive.flag.is_empty()) {
        if let Some(value) = value_of(directive, &matches)? {
            flags.insert(directive.name().to_owned(), value);
        }
    }
    Ok(Parsed::Run(flags))
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Version,
    Run(Map<String, Value>),
}

fn value_of(directive: &Directive, matches: &ArgMatches) -> Result<Option<Value>, Error> {
    if directive.kind == Kind::Number {
        return Ok(matches
            .get_many::<i64>(directive.flag)
            .and_then(Iterator::last)
            .map(|number| json!(number)));
    }
    let Some(texts) = matches.get_many::<String>(directive.flag) else { return Ok(None) };
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    let last = texts.last().copied().unwrap_or_default();
    let refuse = |text: &str| Error::FlagValue { flag: directive.flag, value: text.to_owned() };
    Ok(Some(match directive.kind {
        Kind::Switch => json!(matches!(last, "true" | "1" | "t" | "T" | "TRUE" | "True")),
        Kind::Bytes => json!(parse_bytes(last).ok_or_else(|| refuse(last))?),
        Kind::List => json!(texts),
        Kind::Pairs => object(&texts, |text| Some(pair(text))).map_err(refuse)?,
        Kind::Features => object(&texts, feature).map_err(refuse)?,
        Kind::Ulimits => object(&texts, ulimit).map_err(refuse)?,
        Kind::Runtimes => object(&texts, runtime).map_err(refuse)?,
        Kind::Pools => {
            let pools: Result<Vec<Value>, &str> = texts.iter().map(|text| pool(text).ok_or(*text)).collect();
            json!(pools.map_err(refuse)?)
        }
        Kind::Text | Kind::Number | Kind::Document => json!(last),
    }))
}

/// An object of one member a text; the text that can't be one comes back.
fn object<'t>(
    texts: &[&'t str],
    member: impl Fn(&'t str) -> Option<(&'t str, Value)>,
) -> Result<Value, &'t str> {
    let mut members = Map::new();
    for text in texts {
        let (name, value) = member(text).ok_or(*text)?;
        members.insert(name.to_owned(), value);
    }
    Ok(Value::Object(members))
}

fn pair(text: &str) -> (&str, Value) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name, json!(value))
}

fn feature(text: &str) -> Option<(&str, Value)> {
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    Some((name, json!(value.parse::<bool>().ok()?)))
}

fn runtime(text: &str) -> Option<(&str, Value)> {
    let (name, path) = text.split_once('=')?;
    (!name.is_empty() && !path.is_empty()).then(|| (name, json!({ "path": path })))
}

fn ulimit(text: &str) -> Option<(&str, Value)> {
    let (name, limits) = text.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (soft.parse::<i64>().ok()?, hard.parse::<i64>().ok()?);
    (!name.is_empty()).then(|| (name, json!({ "Name": name, "Soft": soft, "Hard": hard })))
}

fn pool(text: &str) -> Option<Value> {
    let (mut base, mut size) = (None, None);
    for part in text.split(',') {
        match part.split_once('=')? {
            ("base", cidr) => base = Some(cidr),
            ("size", bits) => size = Some(bits.parse::<u8>().ok()?),
            _ => return None,
        }
    }
    Some(json!({ "base": base?, "size": size? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> Result<Value, Error> {
        let args = std::iter::once("dockerd").chain(words.iter().copied()).map(OsString::from).collect();
        match parse(args)? {
            Parsed::Run(flags) => Ok(Value::Object(flags)),
            Parsed::Version => Ok(Value::Null),
        }
    }

    #[test]
    fn flags_become_members_named_as_in_the_file() {
        let cases: [(&[&str], Value); 9] = [
            (&[], json!({})),
            (&["-H", "unix:///a", "--host=tcp://b"], json!({ "hosts": ["unix:///a", "tcp://b"] })),
            (&["-D", "--iptables=false"], json!({ "debug": true, "iptables": false })),
            (
                &["--log-opt", "max-size=1m", "--log-opt", "a"],
                json!({ "log-opts": { "max-size": "1m", "a": "" } }),
            ),
            (&["--feature", "x", "--feature=y=false"], json!({ "features": { "x": true, "y": false } })),
            (
                &["--default-address-pool", "base=10.1.0.0/16,size=24"],
                json!({ "default-address-pools": [{ "base": "10.1.0.0/16", "size": 24 }] }),
            ),
            (
                &["--default-ulimit", "nofile=1:2", "--default-ulimit=core=3"],
                json!({ "default-ulimits": {
                    "nofile": { "Name": "nofile", "Soft": 1, "Hard": 2 },
                    "core": { "Name": "core", "Soft": 3, "Hard": 3 } } }),
            ),
            (
                &["--default-shm-size", "64M", "--mtu", "-1"],
                json!({ "default-shm-size": 67_108_864, "mtu": -1 }),
            ),
            (&["--data-root", "/a", "--data-root", "/b"], json!({ "data-root": "/b" })),
        ];
        for (words, expected) in cases {
            assert_eq!(flags(words).unwrap(), expected, "{words:?}");
        }
        assert_eq!(flags(&["-v"]).unwrap(), Value::Null);
    }

    #[test]
    fn malformed_flags_are_refused() {
        let cases: [&[&str]; 8] = [
            &["--no-such-flag"],
            &["--debug=maybe"],
            &["--debug", "true"],
            &["--mtu", "wide"],
            &["--default-address-pool", "base=10.0.0.0/8"],
            &["--default-ulimit", "nofile"],
            &["--add-runtime", "x"],
            &["--default-shm-size", "lots"],
        ];
        for words in cases {
            assert!(flags(words).is_err(), "{words:?}");
        }
    }
}
