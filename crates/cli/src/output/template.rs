//! Go templates with Docker's functions: `json split join title lower upper pad truncate println`.
//!
//! Rows of tables also have one method with an argument, `.Label "name"`. The template engine knows no methods, so
//! the call is rewritten to the function `label`, which finds the labels in a hidden field of the row.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{MissingKey, Template as Engine, TemplateError, Value};

use crate::failure::{Failure, Result};

/// The hidden field that holds a row's labels; no template can name it.
pub(crate) const LABELS: &str = "\0labels";

/// Marks the header row, where functions leave texts as they are.
pub(crate) const HEADER: &str = "\0header";

/// A compiled template.
pub(crate) struct Template {
    engine: Engine,
    /// What it was made of, for error texts.
    source: String,
}

/// Whether functions work on values or stand in a table's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Row,
    Header,
}

impl Template {
    /// Compiles `source`.
    pub(crate) fn compile(source: &str, place: Place) -> Result<Self> {
        let rewritten = source.replace(".Label ", "label . ");
        let engine = Engine::new("").missing_key(MissingKey::Error);
        let engine = match place {
            Place::Row => row_functions(engine),
            Place::Header => header_functions(engine),
        };
        let engine = engine.func("label", label).func("pad", pad).parse(&rewritten);
        let engine = engine.map_err(|error| Failure::new(syntax_error(&error)).with_code(64))?;
        Ok(Self { engine, source: source.to_owned() })
    }

    /// Whether it asks for nothing but all of it as JSON, which then need not be read at all.
    pub(crate) fn is_whole_json(&self) -> bool {
        self.source.split_whitespace().collect::<String>() == "{{json.}}"
    }

    /// Fills it with `data`; the error says which field is missing.
    pub(crate) fn render(&self, data: &Value) -> Result<String> {
        self.engine.execute_to_string(data).map_err(|error| Failure::new(self.missing_field(&error)))
    }

    /// Go's words for a field that is not there.
    fn missing_field(&self, error: &TemplateError) -> String {
        let text = error.to_string();
        let Some((_, field)) = text.split_once("map has no entry for key: ") else {
            return format!("template parsing error: {text}");
        };
        let path = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '$');
        let found = self.source.find(&format!(".{field}")).map(|at| {
            let start = self.source[..at].rfind(|c| !path(c)).map_or(0, |before| before + 1);
            (start, &self.source[start..=at + field.len()])
        });
        let (column, path) = found.unwrap_or((0, field));
        format!(
            "template parsing error: template: :1:{column}: executing \"\" at <{path}>: map has no entry for key {field:?}"
        )
    }
}

/// Go counts no columns where it cannot read a template.
fn syntax_error(error: &TemplateError) -> String {
    let text = error.to_string();
    let place = text.strip_prefix("template: ").and_then(|rest| rest.split_once(": "));
    match place.and_then(|(place, reason)| Some((place.split_once(':')?.0, reason))) {
        Some((line, reason)) => format!("template parsing error: template: :{line}: {reason}"),
        None => format!("template parsing error: {text}"),
    }
}

type Outcome = std::result::Result<Value, TemplateError>;

fn row_functions(engine: Engine) -> Engine {
    engine
        .func("json", |args| Ok(text(json(args.first().unwrap_or(&Value::Nil)))))
        .func("split", |args| {
            let separator = string(args, 1);
            let whole = string(args, 0);
            let parts: Vec<Value> = if separator.is_empty() {
                whole.chars().map(|c| text(c.to_string())).collect()
            } else {
                whole.split(&separator).map(|part| text(part.to_owned())).collect()
            };
            Ok(Value::List(parts.into()))
        })
        .func("join", |args| {
            let Some(Value::List(items)) = args.first() else { return Ok(text(string(args, 0))) };
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            Ok(text(items.join(&string(args, 1))))
        })
        .func("title", |args| Ok(text(title(&string(args, 0)))))
        .func("lower", |args| Ok(text(string(args, 0).to_lowercase())))
        .func("upper", |args| Ok(text(string(args, 0).to_uppercase())))
        .func("truncate", |args| {
            let length = args.get(1).and_then(Value::as_int).and_then(|length| usize::try_from(length).ok());
            Ok(text(string(args, 0).chars().take(length.unwrap_or(usize::MAX)).collect()))
        })
}

fn header_functions(mut engine: Engine) -> Engine {
    for name in ["json", "split", "join", "title", "lower", "upper", "truncate"] {
        engine = engine.func(name, |args| Ok(text(string(args, 0))));
    }
    engine
}

/// `label . "name"`: the value in a row, a made-up heading in the header.
fn label(args: &[Value]) -> Outcome {
    let name = string(args, 1);
    let row = args.first().unwrap_or(&Value::Nil);
    if row.field(HEADER).is_some() {
        let last = name.rsplit('.').next().unwrap_or(&name);
        return Ok(text(last.replace(['-', '_'], " ")));
    }
    let found = row.field(LABELS).and_then(|labels| labels.field(&name));
    Ok(found.cloned().unwrap_or_else(|| text(String::new())))
}

fn pad(args: &[Value]) -> Outcome {
    let width = |at: usize| {
        args.get(at).and_then(Value::as_int).and_then(|width| usize::try_from(width).ok()).unwrap_or(0)
    };
    let source = string(args, 0);
    if source.is_empty() {
        return Ok(text(source));
    }
    Ok(text(format!("{}{source}{}", " ".repeat(width(1)), " ".repeat(width(2)))))
}

fn text(text: String) -> Value {
    Value::String(text.into())
}

fn string(args: &[Value], at: usize) -> String {
    args.get(at).map(ToString::to_string).unwrap_or_default()
}

/// Each word with a capital, as Go's `strings.Title`.
fn title(text: &str) -> String {
    let mut at_start = true;
    text.chars()
        .map(|c| {
            let out = if at_start { c.to_ascii_uppercase() } else { c };
            at_start = !(c.is_alphanumeric() || c == '_' || c == '\'');
            out
        })
        .collect()
}

/// A value as JSON; hidden fields stay hidden.
fn json(value: &Value) -> String {
    to_json(value).to_string()
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil | Value::Function(_) => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.as_ref().into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            let shown = map.iter().filter(|(key, _)| !key.starts_with('\0'));
            serde_json::Value::Object(shown.map(|(key, value)| (key.to_string(), to_json(value))).collect())
        }
    }
}

/// Fields for a template, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    fields: BTreeMap<Arc<str>, Value>,
}

impl Row {
    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Adds labels: as `.Labels`, sorted and joined, and for `.Label "name"`.
    #[must_use]
    pub(crate) fn with_labels(self, labels: &BTreeMap<String, String>) -> Self {
        let joined: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let map = labels.iter().map(|(name, value)| (Arc::from(name.as_str()), text(value.clone())));
        let map = Value::Map(Arc::new(map.collect()));
        self.with("Labels", joined.join(",")).with(LABELS, map)
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Map(Arc::new(self.fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String> {
        let labels = [("com.x.tier".to_owned(), "web".to_owned())].into();
        let row =
            Row::default().with("Name", "my app").with("Size", gotmpl::Value::Int(3)).with_labels(&labels);
        Template::compile(source, Place::Row)?.render(&row.into_value())
    }

    #[test]
    fn dockers_functions() {
        let cases = [
            ("{{.Name}}", "my app"),
            ("{{upper .Name}} {{title .Name}}", "MY APP My App"),
            ("{{pad .Name 1 2}}|", " my app  |"),
            ("{{truncate .Name 2}}", "my"),
            ("{{join (split .Name \" \") \"-\"}}", "my-app"),
            ("{{json .}}", r#"{"Labels":"com.x.tier=web","Name":"my app","Size":3}"#),
            ("{{.Label \"com.x.tier\"}}", "web"),
            ("{{println .Size}}", "3\n"),
            ("{{if eq .Size 3}}three{{end}}", "three"),
        ];
        for (source, expected) in cases {
            assert_eq!(render(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn missing_fields_and_bad_syntax_are_errors() {
        let text = |source: &str| render(source).unwrap_err().text;
        let missing = r#"template parsing error: template: :1:12: executing "" at <.Nope>: map has no entry for key "Nope""#;
        assert_eq!(text("{{.Name}} {{.Nope}}"), missing);
        assert_eq!(text("{{.Name"), "template parsing error: template: :1: unclosed action");
    }

    #[test]
    fn headers_are_left_alone_by_functions() {
        let header = Row::default().with("Name", "NAME").with(HEADER, "").into_value();
        let template = Template::compile("{{lower .Name}} {{.Label \"com.x.tier\"}}", Place::Header).unwrap();
        assert_eq!(template.render(&header).unwrap(), "NAME tier");
    }
}
