//! The configuration file: JSON to the same object the flags make, and the two merged.
//!
//! As in dockerd a directive given both by flag and by file is an error, so that nobody wonders which one won.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::directives::by_key;
use crate::error::Error;

/// Where the file is looked for if no flag says so.
pub(crate) const DEFAULT_PATH: &str = "/etc/barge/daemon.json";

/// What a missing file means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// No configuration: nobody asked for this file.
    Empty,
    Refused,
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path, missing: Missing) -> Result<Map<String, Value>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && missing == Missing::Empty => {
            return Ok(Map::new());
        }
        Err(source) => return Err(Error::ConfigRead { path: path.to_owned(), source }),
    };
    let refuse = |reason: String| Error::Config { path: path.to_owned(), reason };
    parse(&bytes).map_err(refuse)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    // dockerd takes an empty file for an empty object.
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let mut members: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if let Some(Value::Object(proxies)) = members.remove("proxies") {
        members.extend(proxies);
    }
    // The singular was the key before host-gateway-ips.
    if let Some(address) = members.remove("host-gateway-ip") {
        members.insert("host-gateway-ips".to_owned(), Value::Array(vec![address]));
    }
    let unknown: Vec<&str> = members.keys().map(String::as_str).filter(|key| by_key(key).is_none()).collect();
    if unknown.is_empty() {
        Ok(members)
    } else {
        Err(format!("the following directives don't match any configuration option: {}", unknown.join(", ")))
    }
}

/// One object of both; says which directives both have, if any.
pub(crate) fn merge(
    flags: Map<String, Value>,
    mut file: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut clashes = Vec::new();
    for (name, value) in flags {
        match file.get(&name) {
            // Runtimes add up: those of the file are kept beside those of the flags.
            Some(Value::Object(_)) if name == "runtimes" => {
                if let (Some(Value::Object(known)), Value::Object(more)) = (file.get_mut(&name), value) {
                    known.extend(more);
                }
            }
            Some(other) => {
                clashes.push(format!("{name}: (from flag: {}, from file: {})", show(&value), show(other)))
            }
            None => {
                file.insert(name, value);
            }
        }
    }
    if clashes.is_empty() {
        return Ok(file);
    }
    clashes.sort();
    Err(format!(
        "the following directives are specified both as a flag and in the configuration file: {}",
        clashes.join(", ")
    ))
}

/// A value as Go prints it.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn files_are_checked_for_unknown_directives() {
        assert_eq!(parse(b" \n").unwrap(), Map::new());
        assert_eq!(
            Value::Object(
                parse(br#"{"debug":true,"proxies":{"no-proxy":"a"},"host-gateway-ip":"1.2.3.4"}"#).unwrap()
            ),
            json!({ "debug": true, "no-proxy": "a", "host-gateway-ips": ["1.2.3.4"] })
        );
        let error = parse(br#"{"debug":true,"bogus":1,"worse":2}"#).unwrap_err();
        assert_eq!(error, "the following directives don't match any configuration option: bogus, worse");
        assert!(parse(b"[]").is_err());
        assert!(parse(b"{\"debug\":").is_err());
    }

    #[test]
    fn a_directive_in_both_is_refused() {
        let error = merge(
            object(json!({ "hosts": ["unix:///a"], "debug": true, "mtu": 9000 })),
            object(json!({ "hosts": ["tcp://b", "fd://"], "debug": false, "bip": "10.0.0.1/24" })),
        );
        assert_eq!(
            error.unwrap_err(),
            "the following directives are specified both as a flag and in the configuration file: \
             debug: (from flag: true, from file: false), hosts: (from flag: [unix:///a], from file: [tcp://b fd://])"
        );
        let merged = merge(object(json!({ "mtu": 9000 })), object(json!({ "debug": true })));
        assert_eq!(Value::Object(merged.unwrap()), json!({ "mtu": 9000, "debug": true }));
    }

    #[test]
    fn runtimes_add_up() {
        let merged = merge(
            object(json!({ "runtimes": { "a": { "path": "/a" } } })),
            object(json!({ "runtimes": { "b": { "path": "/b" } } })),
        );
        assert_eq!(merged.unwrap()["runtimes"], json!({ "a": { "path": "/a" }, "b": { "path": "/b" } }));
    }
}
