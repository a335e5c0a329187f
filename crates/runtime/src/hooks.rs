//! Hooks: programs of the specification's author that run at points of a container's life.
//!
//! ```text
//! create   prestart, createRuntime   runtime's namespaces     init waits, its mounts are made
//!          createContainer           container's namespaces   init, before pivot_root; working directory: the root
//! start    startContainer            container's namespaces   init, as the user of the process, before its program
//!          poststart                 runtime's namespaces     the program runs; a failure stops it
//! delete   poststop                  runtime's namespaces     nothing of the container is left; a failure is a warning
//! ```
//!
//! Each gets the container's state on its standard input and no other descriptor of ours. This file says which run and
//! what they are told; how one is run is in `hooks/run.rs`.

mod run;

use std::collections::HashMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use barge_oci::runtime_spec::{Hook, Hooks, Spec};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::plan::invalid;

/// One hook, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookPlan {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    timeout: Option<Duration>,
}

/// Which point of the life a list of hooks belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The status that hooks of this point are told. The specification has the container created (its step 2) before
    /// the first hook runs (step 3).
    fn status(self) -> &'static str {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer | Self::StartContainer => "created",
            Self::Poststart => "running",
            Self::Poststop => "stopped",
        }
    }
}

/// All hooks of a container, with what they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HooksPlan {
    prestart: Vec<HookPlan>,
    create_runtime: Vec<HookPlan>,
    create_container: Vec<HookPlan>,
    start_container: Vec<HookPlan>,
    poststart: Vec<HookPlan>,
    poststop: Vec<HookPlan>,
    version: String,
    id: String,
    bundle: PathBuf,
    annotations: HashMap<String, String>,
}

/// The state of a container as the specification defines it (runtime.md, State).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    annotations: &'a HashMap<String, String>,
}

impl HooksPlan {
    /// The hooks of a specification; `None` when it has none.
    pub(crate) fn of(spec: &Spec, id: &str, bundle: &Path) -> Result<Option<Self>> {
        let Some(hooks) = spec.hooks().as_ref().filter(|hooks| **hooks != Hooks::default()) else {
            return Ok(None);
        };
        #[allow(deprecated, reason = "the specification still demands that they run")]
        let prestart = hooks.prestart();
        let mut start_container = list(Point::StartContainer, hooks.start_container().as_deref())?;
        inherit(&mut start_container, spec)?;
        Ok(Some(Self {
            prestart: list(Point::Prestart, prestart.as_deref())?,
            create_runtime: list(Point::CreateRuntime, hooks.create_runtime().as_deref())?,
            create_container: list(Point::CreateContainer, hooks.create_container().as_deref())?,
            start_container,
            poststart: list(Point::Poststart, hooks.poststart().as_deref())?,
            poststop: list(Point::Poststop, hooks.poststop().as_deref())?,
            version: spec.version().clone(),
            id: id.into(),
            bundle: bundle.into(),
            annotations: spec.annotations().clone().unwrap_or_default(),
        }))
    }

    fn at(&self, point: Point) -> &[HookPlan] {
        match point {
            Point::Prestart => &self.prestart,
            Point::CreateRuntime => &self.create_runtime,
            Point::CreateContainer => &self.create_container,
            Point::StartContainer => &self.start_container,
            Point::Poststart => &self.poststart,
            Point::Poststop => &self.poststop,
        }
    }

    /// Whether `create` has hooks to stop for.
    pub(crate) fn during_create(&self) -> bool {
        [Point::Prestart, Point::CreateRuntime, Point::CreateContainer]
            .into_iter()
            .any(|point| !self.at(point).is_empty())
    }

    /// Whether `start` has to know when the program runs, or that it never will.
    pub(crate) fn during_start(&self) -> bool {
        [Point::StartContainer, Point::Poststart].into_iter().any(|point| !self.at(point).is_empty())
    }

    /// What `create` runs in its own namespaces, in order, up to the first failure.
    pub(crate) fn create_in_runtime(&self, pid: i32) -> Result<()> {
        self.run(Point::Prestart, Some(pid), Some(&self.bundle))?;
        self.run(Point::CreateRuntime, Some(pid), Some(&self.bundle))
    }

    /// The hooks of a point of the container's init, in its own working directory, up to the first failure.
    pub(crate) fn in_container(&self, point: Point) -> Result<()> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        self.run(point, Some(pid), None)
    }

    /// The hooks for a program that runs, up to the first failure, after which its caller stops it (runtime.md,
    /// Lifecycle, step 9; older versions of the specification only warned).
    pub(crate) fn poststart(&self, pid: i32) -> Result<()> {
        self.run(Point::Poststart, Some(pid), Some(&self.bundle))
    }

    /// Runs all hooks for a container that is gone; what failed.
    pub(crate) fn poststop(&self) -> Vec<String> {
        let outcomes = self.each(Point::Poststop, None, Some(&self.bundle));
        outcomes.filter_map(Result::err).map(|error| error.to_string()).collect()
    }

    fn run(&self, point: Point, pid: Option<i32>, directory: Option<&Path>) -> Result<()> {
        self.each(point, pid, directory).collect()
    }

    fn each<'a>(
        &'a self,
        point: Point,
        pid: Option<i32>,
        directory: Option<&'a Path>,
    ) -> impl Iterator<Item = Result<()>> + 'a {
        self.at(point).iter().enumerate().map(move |(index, hook)| {
            let failed = |reason| Error::Hook { kind: point.name().into(), index, reason };
            let state = self.state(point, pid).map_err(|error| failed(error.to_string()))?;
            run::run(hook, &state, directory).map_err(failed)
        })
    }

    fn state(&self, point: Point, pid: Option<i32>) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&State {
            oci_version: &self.version,
            id: &self.id,
            status: point.status(),
            pid,
            bundle: &self.bundle,
            annotations: &self.annotations,
        })
    }
}

fn list(point: Point, hooks: Option<&[Hook]>) -> Result<Vec<HookPlan>> {
    hooks.unwrap_or_default().iter().map(|hook| plan(point, hook)).collect()
}

/// Gives hooks inside the container that have no environment the one of the process. The specification does not ask for
/// it; runc does it, and hooks were written that count on it. Hooks that run outside never see what is meant for the inside.
fn inherit(hooks: &mut [HookPlan], spec: &Spec) -> Result<()> {
    let Some(process) = spec.process() else { return Ok(()) };
    for hook in hooks.iter_mut().filter(|hook| hook.environment.is_empty()) {
        hook.environment = strings("process.env", process.env().as_deref())?;
    }
    Ok(())
}

fn string(field: &str, bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| invalid(field, "contains a zero byte"))
}

fn strings(field: &str, texts: Option<&[String]>) -> Result<Vec<CString>> {
    texts.unwrap_or_default().iter().map(|text| string(field, text.as_bytes())).collect()
}

fn plan(point: Point, hook: &Hook) -> Result<HookPlan> {
    let field = format!("hooks.{}", point.name());
    if !hook.path().is_absolute() {
        return Err(invalid(&field, format!("{:?} is not absolute", hook.path())));
    }
    let timeout = match hook.timeout() {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(Duration::from_secs(seconds)),
            _ => return Err(invalid(&field, format!("timeout {seconds} is not greater than zero"))),
        },
    };
    let path = string(&field, hook.path().as_os_str().as_bytes())?;
    let mut arguments = strings(&field, hook.args().as_deref())?;
    if arguments.is_empty() {
        arguments.push(path.clone());
    }
    let environment = match hook.env() {
        Some(texts) => strings(&field, Some(texts))?,
        None if point == Point::StartContainer => Vec::new(),
        None => of_caller(),
    };
    Ok(HookPlan { path, arguments, environment, timeout })
}

/// The environment of this process, which a hook outside the container has where nothing is said of it: as with runc and
/// crun, above all a `PATH`.
fn of_caller() -> Vec<CString> {
    let variables =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    variables.filter_map(|text| CString::new(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(text: &str) -> Result<Option<HooksPlan>> {
        let text = format!(r#"{{"ociVersion":"1.2.0","hooks":{text}}}"#);
        HooksPlan::of(&serde_json::from_str(&text).unwrap(), "id", Path::new("/bundle"))
    }

    #[test]
    fn a_section_without_hooks_is_none() {
        assert_eq!(hooks("{}").unwrap(), None);
        let empty = hooks(r#"{"prestart":[]}"#).unwrap().unwrap();
        assert!(!empty.during_create() && !empty.during_start());
    }

    #[test]
    fn hooks_are_checked_before_anything_is_made() {
        for (text, reason) in [
            (r#"{"prestart":[{"path":"bin/x"}]}"#, "hooks.prestart: \"bin/x\" is not absolute"),
            (r#"{"poststop":[{"path":"/x","timeout":0}]}"#, "timeout 0 is not greater than zero"),
            (r#"{"poststart":[{"path":"/x","timeout":-1}]}"#, "timeout -1 is not greater than zero"),
            (r#"{"startContainer":[{"path":"/x","args":["a\u0000b"]}]}"#, "contains a zero byte"),
        ] {
            let error = hooks(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_hook_without_arguments_or_environment_has_its_path_and_the_callers() {
        let plan = hooks(r#"{"createRuntime":[{"path":"/x"}],"prestart":[{"path":"/x","env":[]}]}"#)
            .unwrap()
            .unwrap();
        assert!(plan.during_create());
        let hook = &plan.create_runtime[0];
        assert_eq!(hook.arguments.as_slice(), [c"/x".to_owned()]);
        assert_eq!(hook.environment.len(), std::env::vars_os().count());
        assert_eq!(plan.prestart[0].environment.len(), 0);
    }

    #[test]
    fn only_a_hook_inside_the_container_gets_the_environment_of_its_process() {
        let text = r#"{"ociVersion":"1.2.0","process":{"user":{"uid":0,"gid":0},"cwd":"/","env":["A=1"]},"hooks":{
            "createRuntime":[{"path":"/x"}], "startContainer":[{"path":"/x"},{"path":"/x","env":["B=2"]}]}}"#;
        let plan =
            HooksPlan::of(&serde_json::from_str(text).unwrap(), "id", Path::new("/bundle")).unwrap().unwrap();
        assert!(!plan.create_runtime[0].environment.contains(&c"A=1".to_owned()));
        assert_eq!(plan.start_container[0].environment, [c"A=1".to_owned()]);
        assert_eq!(plan.start_container[1].environment, [c"B=2".to_owned()]);
    }

    #[test]
    fn the_state_says_what_the_specification_asks_for() {
        let plan = hooks(r#"{"poststop":[{"path":"/x"}]}"#).unwrap().unwrap();
        let text = String::from_utf8(plan.state(Point::Prestart, Some(7)).unwrap()).unwrap();
        let expected = r#"{"ociVersion":"1.2.0","id":"id","status":"created","pid":7,"bundle":"/bundle"}"#;
        assert_eq!(text, expected);
        let text = String::from_utf8(plan.state(Point::Poststop, None).unwrap()).unwrap();
        assert!(text.contains("\"stopped\"") && !text.contains("pid"), "{text}");
    }
}
