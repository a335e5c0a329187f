//! `inspect`: the engine's JSON, as it is or through a template.

use gotmpl::Value;
use serde_json::Value as Json;

use super::json::indent;
use super::template::{Place, Template};
use crate::failure::{Failure, Failures, Result};
use crate::output;

/// Go's names of fields whose JSON names are spelled otherwise; templates written for Docker use both.
const GO_NAMES: [(&str, &str); 14] = [
    ("Id", "ID"),
    ("ParentId", "ParentID"),
    ("CpuShares", "CPUShares"),
    ("NanoCpus", "NanoCPUs"),
    ("CpuPeriod", "CPUPeriod"),
    ("CpuQuota", "CPUQuota"),
    ("CpuRealtimePeriod", "CPURealtimePeriod"),
    ("CpuRealtimeRuntime", "CPURealtimeRuntime"),
    ("CpuCount", "CPUCount"),
    ("CpuPercent", "CPUPercent"),
    ("Dns", "DNS"),
    ("DnsOptions", "DNSOptions"),
    ("DnsSearch", "DNSSearch"),
    ("ApiVersion", "APIVersion"),
];

/// Prints what was found in `format`, then fails if something was not.
pub(crate) fn print(found: &[String], failures: Failures, format: &str) -> Result<()> {
    let template = match format {
        "" | "json" => None,
        source => Some(Template::compile(source, Place::Row)?),
    };
    match template {
        None if format == "json" => output::say(&format!("[{}]", found.join(","))),
        None => output::say(&indent(&format!("[{}]", found.join(",")))),
        Some(template) => {
            for text in found {
                // What Docker's template had written by then ends with a line's end.
                let line = render(&template, text).inspect_err(|_| output::say(""))?;
                output::say(&line);
            }
            if found.is_empty() {
                output::say("");
            }
        }
    }
    failures.into_result()
}

/// Fills a template with one object; names it does not have are tried in Go's spelling too.
pub(crate) fn render(template: &Template, text: &str) -> Result<String> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| Failure::new(format!("cannot read JSON: {error}")))?;
    template
        .render(&value(&json))
        .or_else(|error| template.render(&value(&with_go_names(json))).map_err(|_| error))
}

fn value(json: &Json) -> Value {
    gotmpl::to_value(json).unwrap_or(Value::Nil)
}

fn with_go_names(json: Json) -> Json {
    match json {
        Json::Object(map) => {
            let mut map: serde_json::Map<String, Json> =
                map.into_iter().map(|(name, value)| (name, with_go_names(value))).collect();
            for (wire, go) in GO_NAMES {
                if let (Some(value), false) = (map.get(wire).cloned(), map.contains_key(go)) {
                    map.insert(go.to_owned(), value);
                }
            }
            Json::Object(map)
        }
        Json::Array(items) => items.into_iter().map(with_go_names).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_name_work() {
        let object =
            r#"{"Id":"x","HostConfig":{"NanoCpus":5},"State":{"Running":true,"Pid":7},"Env":["A=1"]}"#;
        let cases = [
            ("{{.Id}} {{.HostConfig.NanoCpus}}", "x 5"),
            ("{{.ID}} {{.HostConfig.NanoCPUs}}", "x 5"),
            ("{{.State.Running}} {{.State.Pid}}", "true 7"),
            ("{{json .HostConfig}}", r#"{"NanoCpus":5}"#),
            ("{{range .Env}}{{println .}}{{end}}", "A=1\n"),
            ("{{index .Env 0}}", "A=1"),
        ];
        for (source, expected) in cases {
            let template = Template::compile(source, Place::Row).unwrap();
            assert_eq!(render(&template, object).unwrap(), expected, "{source}");
        }
        assert!(render(&Template::compile("{{.Nope}}", Place::Row).unwrap(), object).is_err());
    }
}
