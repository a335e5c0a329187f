//! What the image says and the request does not: defaults taken over from the image's config.

use barge_api::Empty;
use barge_api::containers::{ContainerConfig, HealthConfig};
use barge_oci::image_config::{ContainerDefaults, Healthcheck};

use crate::error::{Error, Result};

/// Fills what the request leaves open with the image's defaults, as dockerd merges them.
///
/// # Errors
/// Invalid, if there is nothing to run.
pub(crate) fn apply(config: &mut ContainerConfig, image: &ContainerDefaults) -> Result<()> {
    let fill = |mine: &mut String, theirs: &String| {
        if mine.is_empty() {
            mine.clone_from(theirs);
        }
    };
    fill(&mut config.user, &image.user);
    fill(&mut config.working_dir, &image.working_dir);
    fill(&mut config.stop_signal, &image.stop_signal);
    for port in image.exposed_ports.keys() {
        config.exposed_ports.entry(port.clone()).or_insert(Empty);
    }
    for path in image.volumes.keys() {
        config.volumes.entry(path.clone()).or_insert(Empty);
    }
    for (name, value) in &image.labels {
        config.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    merge_env(&mut config.env, &image.env);
    merge_command(config, image);
    config.stop_timeout = config.stop_timeout.or(image.stop_timeout);
    config.shell = config.shell.take().or_else(|| image.shell.clone());
    merge_health(&mut config.healthcheck, image.healthcheck.as_ref());
    let nothing =
        |words: &Option<Vec<String>>| words.as_ref().is_none_or(|words| words.iter().all(String::is_empty));
    if nothing(&config.entrypoint) && nothing(&config.cmd) {
        return Err(Error::invalid("no command specified"));
    }
    Ok(())
}

/// The image's variables that the request does not name go in behind the request's own.
fn merge_env(env: &mut Vec<String>, image: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mine: Vec<String> = env.iter().map(|variable| name(variable)).collect();
    let missing = image.iter().filter(|variable| !mine.contains(&name(variable)));
    env.extend(missing.cloned().collect::<Vec<_>>());
}

/// An entrypoint of the request's own drops the image's command too; one empty word drops the image's entrypoint.
fn merge_command(config: &mut ContainerConfig, image: &ContainerDefaults) {
    match &config.entrypoint {
        Some(words) if !words.is_empty() => {
            if words.len() == 1 && words[0].is_empty() {
                config.entrypoint = None;
            }
        }
        _ => {
            if config.cmd.as_ref().is_none_or(Vec::is_empty) {
                config.cmd.clone_from(&image.cmd);
                config.args_escaped = image.args_escaped;
            }
            if config.entrypoint.is_none() {
                config.entrypoint.clone_from(&image.entrypoint);
            }
        }
    }
}

fn merge_health(mine: &mut Option<HealthConfig>, image: Option<&Healthcheck>) {
    let Some(image) = image else { return };
    let mine = mine.get_or_insert_default();
    if mine.test.is_empty() {
        mine.test.clone_from(&image.test);
    }
    let pairs = [
        (&mut mine.interval, image.interval),
        (&mut mine.timeout, image.timeout),
        (&mut mine.start_period, image.start_period),
        (&mut mine.start_interval, image.start_interval),
        (&mut mine.retries, image.retries),
    ];
    for (mine, theirs) in pairs {
        if *mine == 0 {
            *mine = theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn entrypoint_and_command() {
        let cases = [
            // request's entrypoint and cmd, image's entrypoint and cmd, the outcome
            ((None, None), (words(&["e"]), words(&["c"])), (words(&["e"]), words(&["c"]))),
            ((None, words(&["x"])), (words(&["e"]), words(&["c"])), (words(&["e"]), words(&["x"]))),
            ((words(&["y"]), None), (words(&["e"]), words(&["c"])), (words(&["y"]), None)),
            ((words(&[""]), words(&["x"])), (words(&["e"]), words(&["c"])), (None, words(&["x"]))),
            ((words(&[]), None), (words(&["e"]), words(&["c"])), (words(&[]), words(&["c"]))),
        ];
        for ((entrypoint, cmd), (image_entrypoint, image_cmd), expected) in cases {
            let mut config = ContainerConfig { entrypoint, cmd, ..ContainerConfig::default() };
            let image = ContainerDefaults {
                entrypoint: image_entrypoint,
                cmd: image_cmd,
                ..ContainerDefaults::default()
            };
            apply(&mut config, &image).unwrap();
            assert_eq!((config.entrypoint, config.cmd), expected);
        }
    }

    #[test]
    fn nothing_to_run_is_refused() {
        let error = apply(&mut ContainerConfig::default(), &ContainerDefaults::default()).unwrap_err();
        assert_eq!(error.message(), "no command specified");
    }

    #[test]
    fn the_request_wins_and_the_image_fills() {
        let mut config = ContainerConfig {
            env: vec!["A=mine".to_owned(), "GONE".to_owned()],
            cmd: words(&["x"]),
            user: "me".to_owned(),
            ..ContainerConfig::default()
        };
        let image = ContainerDefaults {
            env: vec!["A=theirs".to_owned(), "B=theirs".to_owned(), "GONE=1".to_owned()],
            user: "you".to_owned(),
            working_dir: "/srv".to_owned(),
            ..ContainerDefaults::default()
        };
        apply(&mut config, &image).unwrap();
        assert_eq!(config.env, ["A=mine", "GONE", "B=theirs"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("me", "/srv"));
    }
}
