//! `--ulimit nofile=1024[:2048]`.

use std::collections::BTreeMap;

use barge_api::containers::Ulimit;

use super::value::Value;

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// All `--ulimit` flags of a command, the last of each name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ulimits(BTreeMap<String, Ulimit>);

impl Ulimits {
    pub(crate) fn into_list(self) -> Vec<Ulimit> {
        self.0.into_values().collect()
    }
}

impl Value for Ulimits {
    const KIND: &'static str = "ulimit";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, limits) =
            text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
        if !NAMES.contains(&name) {
            return Err(format!("invalid ulimit type: {name}"));
        }
        let number = |part: &str| {
            part.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {part:?}: invalid syntax"))
        };
        let (soft, hard) = match limits.split_once(':') {
            Some((_, hard)) if hard.contains(':') => {
                return Err(format!(
                    "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
                ));
            }
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(limits)?, number(limits)?),
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            let soft = if soft == -1 { "-1 (unlimited)".to_owned() } else { soft.to_string() };
            return Err(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            ));
        }
        self.0.insert(name.to_owned(), Ulimit { name: name.to_owned(), hard, soft });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let mut ulimits = Ulimits::default();
        for text in ["nofile=1:2", "nofile=1024:2048", "core=-1", "nproc=10"] {
            ulimits.set(text).unwrap();
        }
        let found: Vec<_> =
            ulimits.into_list().into_iter().map(|limit| (limit.name, limit.soft, limit.hard)).collect();
        assert_eq!(found, [("core".into(), -1, -1), ("nofile".into(), 1024, 2048), ("nproc".into(), 10, 10)]);
        for text in ["nofile", "bogus=1", "nofile=2:1", "nofile=a", "nofile=-1:5", "nofile=1:2:3"] {
            assert!(Ulimits::default().set(text).is_err(), "{text}");
        }
    }
}
