//! Specifications as text, with what the types of the `oci-spec` crate can't read set right first.
//!
//! Only a text that does not parse as it is gets a second look, so that the usual one costs nothing more:
//! a capability that the crate does not know makes it refuse the whole document, where runc warns and goes on; it
//! misspells `SCHED_FLAG_DL_OVERRUN`; it takes no empty list of processors and no process without a user, which the
//! specification allows; and it minds what is meant for other platforms.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use barge_oci::runtime_spec::{Capability, LinuxSchedulerFlag, Process, Spec};
use rustix::fs::{FileType, Mode, OFlags};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Cause, Error, Result};
use crate::plan;

/// A parsed document, and what was left out of it, in words for its owner.
type Parsed<T> = Result<(T, Vec<String>), serde_json::Error>;

/// The longest document that is read: more than any engine writes, and than a kernel takes as arguments and mounts.
const LARGEST: u64 = 32 << 20;

/// The text of a bundle's `config.json`, which must be a regular file: a pipe may never end.
fn load_config(path: &Path) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unread(path, errno.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| unread(path, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Document { path: path.into(), reason: "it is not a regular file".into() });
    }
    read(path, File::from(file), stat.st_size)
}

/// The text of a document that the caller of a command named, perhaps a pipe of his own.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>> {
    read(path, File::open(path).map_err(|error| unread(path, error.into()))?, 0)
}

fn unread(path: &Path, source: Cause) -> Error {
    Error::File { operation: "read".into(), path: path.into(), source }
}

fn read(path: &Path, file: File, expected: i64) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(u64::try_from(expected).unwrap_or(0).min(LARGEST) as usize + 1);
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(|error| unread(path, error.into()))?;
    if text.len() as u64 > LARGEST {
        let reason = format!("it is longer than {} MiB", LARGEST >> 20);
        return Err(Error::Document { path: path.into(), reason });
    }
    Ok(text)
}

/// Reads the `config.json` at `path`, of a version that this runtime knows. What was left out of it is told in words for
/// its owner.
pub fn load_spec(path: &Path) -> Result<(Spec, Vec<String>)> {
    let (spec, warnings) = spec(&load_config(path)?)
        .map_err(|error| Error::Document { path: path.into(), reason: error.to_string() })?;
    plan::check_version(spec.version())?;
    Ok((spec, warnings))
}

const OTHER_PLATFORMS: [&str; 4] = ["solaris", "vm", "windows", "zos"];

/// Reads a `config.json`.
pub(crate) fn spec(text: &[u8]) -> Parsed<Spec> {
    parse(text, |value| {
        if let Some(sections) = value.as_object_mut() {
            OTHER_PLATFORMS.iter().for_each(|name| drop(sections.remove(*name)));
        }
        value.get_mut("process")
    })
}

/// Reads the process of an `exec`.
pub(crate) fn process(text: &[u8]) -> Parsed<Process> {
    parse(text, |value| Some(value))
}

fn parse<T: DeserializeOwned>(
    text: &[u8],
    process: impl FnOnce(&mut Value) -> Option<&mut Value>,
) -> Parsed<T> {
    let first = match serde_json::from_slice(text) {
        Ok(parsed) => return Ok((parsed, Vec::new())),
        Err(error) => error,
    };
    // What is no JSON at all, or is wrong elsewhere, keeps the first error: it has line and column.
    let Ok(mut value) = serde_json::from_slice::<Value>(text) else { return Err(first) };
    let warnings = process(&mut value).map(repair).unwrap_or_default();
    // As text again: to build the same from a tree would be a second reader of every type, a third of this crate's program.
    match serde_json::to_vec(&value).and_then(|text| serde_json::from_slice(&text)) {
        Ok(parsed) => Ok((parsed, warnings)),
        Err(_) => Err(first),
    }
}

fn repair(process: &mut Value) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    if let Some(process) = process.as_object_mut()
        && process.get("user").is_none_or(Value::is_null)
    {
        process.insert("user".into(), Value::Object(serde_json::Map::new()));
    }
    for set in process.get_mut("capabilities").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(names) = set.1.as_array_mut() else { continue };
        names.retain(|name| {
            let known = serde_json::from_value::<Capability>(name.clone()).is_ok();
            if let (false, Some(name)) = (known, name.as_str())
                && !unknown.iter().any(|seen| seen == name)
            {
                unknown.push(name.to_owned());
            }
            known || !name.is_string()
        });
    }
    if let Some(flags) = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut) {
        for flag in flags.iter_mut().filter(|flag| *flag == "SCHED_FLAG_DL_OVERRUN") {
            *flag = serde_json::to_value(LinuxSchedulerFlag::SchedFlagDLOverrun).unwrap_or_default();
        }
    }
    if let Some(affinity) = process.get_mut("execCPUAffinity").and_then(Value::as_object_mut) {
        affinity.retain(|_, list| list != "");
    }
    match unknown.is_empty() {
        true => Vec::new(),
        false => vec![format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" "))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_types_can_not_read_is_set_right() {
        let text = br#"{"args":["a"],"cwd":"/",
            "capabilities":{"bounding":["CAP_CHOWN","CAP_NO_SUCH"],"effective":["CAP_NO_SUCH"]},
            "scheduler":{"policy":"SCHED_DEADLINE","flags":["SCHED_FLAG_DL_OVERRUN"]},
            "execCPUAffinity":{"initial":"","final":"0"}}"#;
        let (process, warnings) = process(text).unwrap();
        assert_eq!(warnings, ["ignoring unknown or unavailable capabilities: [CAP_NO_SUCH]"]);
        assert_eq!((process.user().uid(), process.user().gid()), (0, 0));
        let sets = process.capabilities().clone().unwrap();
        assert_eq!(sets.bounding().clone().unwrap().len(), 1);
        assert!(sets.effective().clone().unwrap().is_empty());
        let flags = process.scheduler().clone().unwrap().flags().clone().unwrap();
        assert_eq!(flags, [LinuxSchedulerFlag::SchedFlagDLOverrun]);
        let affinity = process.exec_cpu_affinity().clone().unwrap();
        assert_eq!(
            (affinity.initial().as_deref(), affinity.cpu_affinity_final().as_deref()),
            (None, Some("0"))
        );
    }

    #[test]
    fn a_process_without_a_user_is_roots_and_other_platforms_do_not_matter() {
        for user in ["", r#","user":null"#, r#","user":{}"#] {
            let text = format!(r#"{{"args":["a"],"cwd":"/"{user}}}"#);
            let (process, _) = process(text.as_bytes()).unwrap();
            assert_eq!((process.user().uid(), process.user().gid()), (0, 0), "{text}");
        }
        let (spec, _) = spec(br#"{"ociVersion":"1.3.0","windows":7,"vm":{},"hostname":"x"}"#).unwrap();
        assert_eq!(spec.hostname().as_deref(), Some("x"));
    }

    #[test]
    fn other_mistakes_stay_errors() {
        for text in ["{", r#"{"ociVersion":7}"#, r#"{"ociVersion":"1.0.0","process":{"args":7}}"#] {
            assert!(spec(text.as_bytes()).is_err(), "{text}");
        }
        let (_, warnings) = spec(br#"{"ociVersion":"1.0.0"}"#).unwrap();
        assert!(warnings.is_empty());
    }
}
