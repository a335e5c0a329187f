//! `--security-opt`: what confines a container beside its capabilities.

use crate::error::{Error, Result};

/// The options of one container, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    /// `None` takes the default; `unconfined` is none.
    pub(crate) apparmor: Option<String>,
    /// `None` follows `--privileged`.
    pub(crate) writable_cgroups: Option<bool>,
}

/// Which seccomp profile applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seccomp {
    #[default]
    Default,
    Unconfined,
    /// The profile's text.
    Custom(String),
}

impl Seccomp {
    /// Reads the value of `seccomp=` or of the daemon's default.
    pub(crate) fn from_value(value: &str) -> Self {
        match value {
            "unconfined" => Self::Unconfined,
            "" | "builtin" => Self::Default,
            text => Self::Custom(text.to_owned()),
        }
    }
}

/// Reads the list. SELinux labels are accepted and have no effect: Barge sets none.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse(options: &[String], no_new_privileges: bool) -> Result<Security> {
    let mut security = Security { no_new_privileges, ..Security::default() };
    for option in options {
        match option.as_str() {
            "no-new-privileges" => security.no_new_privileges = true,
            "writable-cgroups" => security.writable_cgroups = Some(true),
            "disable" => {}
            _ => apply(&mut security, option)?,
        }
    }
    Ok(security)
}

fn apply(security: &mut Security, option: &str) -> Result<()> {
    let pair = option.split_once('=').or_else(|| option.split_once(':'));
    let (key, value) = pair.ok_or_else(|| Error::invalid(format!("invalid --security-opt 1: {option:?}")))?;
    let refuse = || Error::invalid(format!("invalid --security-opt 2: {option:?}"));
    match key {
        "label" => {}
        "apparmor" => security.apparmor = Some(value.to_owned()),
        "seccomp" => security.seccomp = Seccomp::from_value(value),
        "no-new-privileges" => security.no_new_privileges = boolean(value).ok_or_else(refuse)?,
        "writable-cgroups" => security.writable_cgroups = Some(boolean(value).ok_or_else(refuse)?),
        _ => return Err(refuse()),
    }
    Ok(())
}

/// A boolean as Go's `strconv.ParseBool` reads it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str]) -> Result<Security> {
        parse(&options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>(), false)
    }

    #[test]
    fn options() {
        let security =
            read(&["no-new-privileges", "seccomp=unconfined", "apparmor=x", "label=disable"]).unwrap();
        assert!(security.no_new_privileges);
        assert_eq!((security.seccomp, security.apparmor.as_deref()), (Seccomp::Unconfined, Some("x")));
        assert!(!read(&["no-new-privileges:false"]).unwrap().no_new_privileges);
        assert_eq!(read(&["seccomp={}"]).unwrap().seccomp, Seccomp::Custom("{}".to_owned()));
        assert_eq!(read(&["seccomp=builtin"]).unwrap().seccomp, Seccomp::Default);
    }

    #[test]
    fn refusals() {
        let text = |option| read(&[option]).unwrap_err().message().to_owned();
        assert_eq!(text("foo"), r#"invalid --security-opt 1: "foo""#);
        assert_eq!(text("foo=bar"), r#"invalid --security-opt 2: "foo=bar""#);
        assert_eq!(text("no-new-privileges=maybe"), r#"invalid --security-opt 2: "no-new-privileges=maybe""#);
    }
}
