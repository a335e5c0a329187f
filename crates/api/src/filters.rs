//! The `filters` parameter of lists, prunes and events: for each key, the values that let an object pass.
//!
//! Two JSON forms are read, `{"key": {"value": true}}` and the older `{"key": ["value"]}`; the first is written.
//! Values of one key are alternatives, but for labels, which must all match.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Values by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    fields: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Reads the parameter; empty text is no filter.
    ///
    /// # Errors
    /// [`Error::Filters`] if it has neither form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let parsed: BTreeMap<String, Option<Values>> =
            serde_json::from_str(text).map_err(|error| Error::Filters { reason: error.to_string() })?;
        let fields = parsed
            .into_iter()
            .map(|(key, values)| {
                let values = match values {
                    None => BTreeSet::new(),
                    // Docker takes a value as given whatever the flag beside it says.
                    Some(Values::Map(map)) => map.into_keys().collect(),
                    Some(Values::List(list)) => list.into_iter().collect(),
                };
                (key, values)
            })
            .collect();
        Ok(Self { fields })
    }

    /// The parameter's text, empty without filters.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Wire<'a>(BTreeMap<&'a str, BTreeMap<&'a str, bool>>);
        if self.is_empty() {
            return String::new();
        }
        let map = self
            .fields
            .iter()
            .map(|(key, values)| (key.as_str(), values.iter().map(|value| (value.as_str(), true)).collect()));
        serde_json::to_string(&Wire(map.collect())).unwrap_or_default()
    }

    /// Lets `value` pass for `key` too.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.fields.entry(key.into()).or_default().insert(value.into());
    }

    /// True if nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// True if `key` is filtered on.
    pub fn contains(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The values of `key`, none if it is not filtered on.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.get(key).into_iter().flatten().map(String::as_str)
    }

    /// The keys filtered on.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Refuses keys outside `known`.
    ///
    /// # Errors
    /// [`Error::FilterKey`] with the first such key.
    pub fn validate(&self, known: &[&str]) -> Result<(), Error> {
        match self.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(Error::FilterKey { key: key.to_owned() }),
            None => Ok(()),
        }
    }

    /// Whether `source` is one of the values of `key`, or `key` is not filtered on.
    pub fn exact(&self, key: &str, source: &str) -> bool {
        self.fields.get(key).is_none_or(|values| values.is_empty() || values.contains(source))
    }

    /// Whether `accept` holds for a value of `key`, or `key` is not filtered on.
    pub fn any(&self, key: &str, accept: impl FnMut(&str) -> bool) -> bool {
        self.fields
            .get(key)
            .is_none_or(|values| values.is_empty() || values.iter().map(String::as_str).any(accept))
    }

    /// Whether all values of `key`, each `NAME` or `NAME=VALUE`, are met by `labels`.
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
            None => labels.contains_key(wanted),
        })
    }

    /// The truth value of `key`: `1`, `t`, `true` or `0`, `f`, `false` in Go's spellings.
    ///
    /// # Errors
    /// [`Error::FilterValue`] for other values, and if both are given.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let mut found = None;
        for value in self.values(key) {
            let flag = match value {
                "1" | "t" | "T" | "true" | "True" | "TRUE" => true,
                "0" | "f" | "F" | "false" | "False" | "FALSE" => false,
                _ => return Err(Error::FilterValue { key: key.to_owned(), value: value.to_owned() }),
            };
            if found.is_some_and(|before| before != flag) {
                return Err(Error::FilterValue { key: key.to_owned(), value: value.to_owned() });
            }
            found = Some(flag);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_alike() {
        let maps = Filters::parse(r#"{"label":{"a=b":true,"c":true},"status":{"running":true}}"#).unwrap();
        let lists = Filters::parse(r#"{"label":["a=b","c"],"status":["running"]}"#).unwrap();
        assert_eq!(maps, lists);
        assert_eq!(Filters::parse(&maps.to_json()).unwrap(), maps);
        assert_eq!(Filters::parse("").unwrap().to_json(), "");
        assert!(Filters::parse("{}").unwrap().is_empty());
    }

    #[test]
    fn other_json_is_refused() {
        for text in ["[]", "{", r#"{"a":"b"}"#, r#"{"a":{"b":1}}"#, "invalid"] {
            assert!(matches!(Filters::parse(text), Err(Error::Filters { .. })), "{text}");
        }
    }

    #[test]
    fn matching() {
        let filters =
            Filters::parse(r#"{"label":["a=b","c"],"name":["web","db"],"dangling":["true"]}"#).unwrap();
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(filters.labels("label", &labels(&[("a", "b"), ("c", "")])));
        assert!(!filters.labels("label", &labels(&[("a", "b")])));
        assert!(!filters.labels("label", &labels(&[("a", "x"), ("c", "")])));
        assert!(
            filters.exact("name", "db") && !filters.exact("name", "d") && filters.exact("id", "anything")
        );
        assert!(filters.any("name", |value| value.starts_with('w')));
        assert_eq!(filters.boolean("dangling"), Ok(Some(true)));
        assert_eq!(filters.boolean("other"), Ok(None));
        assert!(filters.boolean("name").is_err());
        assert_eq!(
            filters.validate(&["label", "name"]),
            Err(Error::FilterKey { key: "dangling".to_owned() })
        );
    }
}
