//! `--log-driver` and `--log-opt`: where a container's output is kept.

use std::collections::BTreeMap;

use barge_api::containers::LogConfig;

use crate::error::{Error, Result};

/// The options of a log on disk, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// False for driver `none`.
    pub(crate) enabled: bool,
    /// Bytes; `None` is without end.
    pub(crate) max_size: Option<u64>,
    pub(crate) max_file: u32,
    pub(crate) compress: bool,
    /// Names of the labels and variables that go into each entry.
    pub(crate) labels: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) tag: Option<String>,
}

/// Reads the options. `local` is kept in the same files as `json-file`.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse(log: &LogConfig) -> Result<LogOptions> {
    let option = |key: &str| log.config.get(key).filter(|value| !value.is_empty());
    let list = |key: &str| {
        option(key).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
    };
    let local = log.driver == "local";
    let mut parsed = LogOptions {
        enabled: log.driver != "none",
        max_size: local.then_some(20 << 20),
        max_file: if local { 5 } else { 1 },
        compress: local,
        labels: list("labels"),
        env: list("env"),
        tag: option("tag").cloned(),
    };
    if let Some(text) = option("max-size") {
        parsed.max_size = (text != "-1").then(|| size(text)).transpose()?;
    }
    if let Some(text) = option("max-file") {
        parsed.max_file = text
            .parse()
            .map_err(|_| Error::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))?;
        if parsed.max_file < 1 {
            return Err(Error::invalid("max-file cannot be less than 1"));
        }
    }
    if let Some(text) = option("compress") {
        parsed.compress = match text.as_str() {
            "true" | "1" | "t" | "TRUE" | "True" | "T" => true,
            "false" | "0" | "f" | "FALSE" | "False" | "F" => false,
            _ => {
                return Err(Error::invalid(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")));
            }
        };
    }
    Ok(parsed)
}

/// `10m`, `1.5GB`, `2KiB`, `512`: bytes, the units as powers of 1024.
fn size(text: &str) -> Result<u64> {
    let refuse = || Error::invalid(format!("invalid size: '{text}'"));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(refuse()),
    };
    let number: f64 = number.parse().map_err(|_| refuse())?;
    Ok((number * f64::from(shift).exp2()) as u64)
}

impl LogOptions {
    /// What goes into each entry beside the output: the labels and variables named, and the tag if one is set.
    pub(crate) fn attributes(
        &self,
        labels: &BTreeMap<String, String>,
        env: &[String],
        tag: impl FnOnce(&str) -> String,
    ) -> BTreeMap<String, String> {
        let mut attributes: BTreeMap<_, _> = self
            .labels
            .iter()
            .filter_map(|name| labels.get(name).map(|value| (name.clone(), value.clone())))
            .collect();
        for variable in env {
            if let Some((name, value)) = variable.split_once('=')
                && self.env.iter().any(|wanted| wanted == name)
            {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(template) = &self.tag {
            attributes.insert("tag".to_owned(), tag(template));
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: driver.to_owned(), config }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("10m", 10 << 20),
            ("1k", 1024),
            ("512", 512),
            ("1.5g", 3 << 29),
            ("2KiB", 2048),
            ("3MB", 3 << 20),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        assert!(size("x").is_err() && size("10q").is_err() && size("").is_err());
    }

    #[test]
    fn options() {
        let parsed =
            parse(&log("json-file", &[("max-size", "1k"), ("max-file", "3"), ("compress", "true")])).unwrap();
        assert_eq!((parsed.max_size, parsed.max_file, parsed.compress), (Some(1024), 3, true));
        assert_eq!(parse(&log("json-file", &[])).unwrap().max_size, None);
        assert!(!parse(&log("none", &[])).unwrap().enabled);
        assert!(parse(&log("json-file", &[("max-file", "0")])).is_err());
    }

    #[test]
    fn attributes() {
        let options = parse(&log("json-file", &[("labels", "a,b"), ("env", "X"), ("tag", "t")])).unwrap();
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("c".to_owned(), "2".to_owned())]);
        let env = ["X=y".to_owned(), "Z=q".to_owned()];
        let found = options.attributes(&labels, &env, |template| format!("<{template}>"));
        let pairs: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("X", "y"), ("a", "1"), ("tag", "<t>")]);
    }
}
