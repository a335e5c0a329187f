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

/// The fields of an endpoint that once stood beside the networks.
const DEFAULT_NETWORK: [&str; 8] = [
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
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
    if template.is_whole_json() {
        return Ok(text.to_owned());
    }
    let json: Json =
        serde_json::from_str(text).map_err(|error| Failure::new(format!("cannot read JSON: {error}")))?;
    template.render(&value(&json)).or_else(|error| {
        let richer = with_default_network(with_go_names(json));
        template.render(&value(&richer)).map_err(|_| error)
    })
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

/// Puts the default bridge's endpoint beside the networks, where it stood up to API 1.51: many scripts look for
/// `.NetworkSettings.IPAddress`.
fn with_default_network(mut json: Json) -> Json {
    let Some(settings) = json.get_mut("NetworkSettings").and_then(Json::as_object_mut) else { return json };
    let bridge = settings
        .get("Networks")
        .and_then(|networks| networks.get("bridge"))
        .and_then(Json::as_object)
        .cloned();
    for name in DEFAULT_NETWORK {
        let found = bridge.as_ref().and_then(|bridge| bridge.get(name)).cloned();
        settings.entry(name).or_insert_with(|| found.unwrap_or_else(|| "".into()));
    }
    json
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
        let container = r#"{"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"10.0.0.2"}}}}"#;
        let template = Template::compile("{{.NetworkSettings.IPAddress}}", Place::Row).unwrap();
        assert_eq!(render(&template, container).unwrap(), "10.0.0.2");
        let whole = Template::compile("{{json .}}", Place::Row).unwrap();
        assert_eq!(render(&whole, r#"{"b":1,"a":2}"#).unwrap(), r#"{"b":1,"a":2}"#);
        assert!(render(&Template::compile("{{.Nope}}", Place::Row).unwrap(), object).is_err());
    }
}
