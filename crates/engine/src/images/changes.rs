//! Dockerfile instructions that change an image's config: the `changes` of import and commit.
//!
//! Only instructions that need no file system: everything that a build would run or copy is refused.

mod duration;
mod words;

use barge_oci::ContainerDefaults;
use barge_oci::image_config::{Empty, Healthcheck};

use crate::error::{Error, Result};
use words::words;

/// Instructions, split into keyword and rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    steps: Vec<(String, String)>,
}

const ALLOWED: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

impl Changes {
    /// Splits the lines of `changes`, each of which may hold several instructions.
    ///
    /// # Errors
    /// 400 for an instruction that is none or not allowed here.
    pub fn parse(changes: &[String]) -> Result<Self> {
        let mut steps = Vec::new();
        for line in changes.iter().flat_map(|text| text.lines()).map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let upper = keyword.to_ascii_uppercase();
            if !ALLOWED.contains(&upper.as_str()) {
                return Err(Error::invalid(format!("{keyword} is not a valid change command")));
            }
            steps.push((upper, rest.trim().to_owned()));
        }
        Ok(Self { steps })
    }

    /// Changes `config` in the order of the instructions.
    ///
    /// # Errors
    /// 400 for an instruction without what it needs.
    pub fn apply(&self, config: &mut ContainerDefaults) -> Result<()> {
        let sets_command = self.steps.iter().any(|(keyword, _)| keyword == "CMD");
        for (keyword, rest) in &self.steps {
            if rest.is_empty() {
                return Err(Error::invalid(format!("{keyword} requires at least one argument")));
            }
            match keyword.as_str() {
                "CMD" => config.cmd = Some(command(rest, config)),
                "ENTRYPOINT" => {
                    config.entrypoint = Some(command(rest, config));
                    if !sets_command {
                        // Another program has no use for the old one's arguments.
                        config.cmd = None;
                    }
                }
                "ENV" => env(rest, config)?,
                "LABEL" => config.labels.extend(pairs("LABEL", rest, &config.env)?),
                "EXPOSE" => expose(rest, config)?,
                "USER" => config.user = words(rest, &config.env).join(" "),
                "VOLUME" => {
                    let paths = list(rest).unwrap_or_else(|| words(rest, &config.env));
                    config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
                }
                "WORKDIR" => {
                    config.working_dir = joined(&config.working_dir, &words(rest, &config.env).join(" "))
                }
                "STOPSIGNAL" => config.stop_signal = words(rest, &config.env).join(" "),
                "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest, config)?),
                _ => config.on_build.push(rest.clone()),
            }
        }
        Ok(())
    }
}

/// The list of `["a", "b"]`; `None` if it is not one.
fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

/// Exec form as it is, shell form behind the shell.
fn command(text: &str, config: &ContainerDefaults) -> Vec<String> {
    list(text).unwrap_or_else(|| {
        let shell = config.shell.clone();
        let mut command = shell.unwrap_or_else(|| DEFAULT_SHELL.map(str::to_owned).to_vec());
        command.push(text.to_owned());
        command
    })
}

fn env(rest: &str, config: &mut ContainerDefaults) -> Result<()> {
    for (name, value) in pairs("ENV", rest, &config.env)? {
        let line = format!("{name}={value}");
        let prefix = format!("{name}=");
        match config.env.iter_mut().find(|known| known.starts_with(&prefix)) {
            Some(known) => *known = line,
            None => config.env.push(line),
        }
    }
    Ok(())
}

/// `a=b c="d e"`, or the old `a b c` for `a="b c"`.
fn pairs(keyword: &str, rest: &str, env: &[String]) -> Result<Vec<(String, String)>> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::invalid(format!("{keyword} must have two arguments")))?;
        return Ok(vec![(name.to_owned(), words(value.trim(), env).join(" "))]);
    }
    words(rest, env)
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(Error::invalid(format!("{keyword} names can not be blank"))),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Error::invalid(format!("Can't find = in {word:?}. Must be of the form: name=value"))),
        })
        .collect()
}

fn expose(rest: &str, config: &mut ContainerDefaults) -> Result<()> {
    for word in words(rest, &config.env) {
        let (ports, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let invalid = || Error::invalid(format!("invalid containerPort: {word}"));
        let first: u16 = first.parse().map_err(|_| invalid())?;
        let last: u16 = last.parse().map_err(|_| invalid())?;
        if first > last || !matches!(protocol, "tcp" | "udp" | "sctp") {
            return Err(invalid());
        }
        config.exposed_ports.extend((first..=last).map(|port| (format!("{port}/{protocol}"), Empty {})));
    }
    Ok(())
}

fn joined(current: &str, wanted: &str) -> String {
    let base = if wanted.starts_with('/') { "" } else { current };
    let mut parts = Vec::new();
    for part in base.split('/').chain(wanted.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `NONE`, or `[--OPTION=VALUE …] CMD command`.
fn healthcheck(rest: &str, config: &ContainerDefaults) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let unknown = || Error::invalid(format!("Unknown flag: {option}"));
        let (name, value) = option.split_once('=').ok_or_else(unknown)?;
        let length =
            || duration::parse(value).ok_or_else(|| Error::invalid(format!("invalid duration {value:?}")));
        match name {
            "interval" => check.interval = length()?,
            "timeout" => check.timeout = length()?,
            "start-period" => check.start_period = length()?,
            "start-interval" => check.start_interval = length()?,
            "retries" => {
                check.retries =
                    value.parse().map_err(|_| Error::invalid(format!("invalid retries {value:?}")))?;
            }
            _ => return Err(unknown()),
        }
        rest = after.trim_start();
    }
    let (kind, command_text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match (kind.to_ascii_uppercase().as_str(), command_text.trim()) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("NONE", _) => return Err(Error::invalid("HEALTHCHECK NONE takes no arguments")),
        ("CMD", "") => return Err(Error::invalid("Missing command after HEALTHCHECK CMD")),
        ("CMD", text) => match list(text) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => shell_test(text, config),
        },
        _ => return Err(Error::invalid(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

fn shell_test(text: &str, config: &ContainerDefaults) -> Vec<String> {
    match &config.shell {
        None => vec!["CMD-SHELL".to_owned(), text.to_owned()],
        Some(_) => std::iter::once("CMD".to_owned()).chain(command(text, config)).collect(),
    }
}

#[cfg(test)]
mod tests;
