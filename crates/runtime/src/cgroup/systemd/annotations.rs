//! Annotations `org.systemd.property.NAME`, which set properties of a container's scope. Pure.
//!
//! Values are in GVariant's text format, of which the scalars and lists of one kind of them are read:
//! `true`, `5`, `uint64 5`, `'text'`, `['a', 'b']`, `@au [1, 2]`. <https://docs.gtk.org/glib/gvariant-text-format.html>

use std::collections::HashMap;

use zbus::Variant;

use super::properties::Property;
use crate::cgroup::invalid;
use crate::error::Result;

const PREFIX: &str = "org.systemd.property.";

/// The properties that a container's owner asks for, by name.
pub(super) fn properties(annotations: Option<&HashMap<String, String>>) -> Result<Vec<Property>> {
    let mut out = Vec::new();
    for (key, text) in annotations.into_iter().flatten() {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let wrong = |what: &str| invalid("annotations", format!("annotation {key}={text} {what}"));
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(wrong("name incorrect: it has to be three letters or more"));
        }
        let value = variant(text).ok_or_else(|| wrong("value parse error"))?;
        out.push(match seconds(name) {
            Some(stem) => {
                let value = microseconds(&value).ok_or_else(|| wrong("value parse error: not a number"))?;
                (format!("{stem}USec"), value.into())
            }
            None => (name.to_owned(), value),
        });
    }
    out.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(out)
}

/// Units' files have `TimeoutStopSec`, the bus has `TimeoutStopUSec`.
fn seconds(name: &str) -> Option<&str> {
    name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()))
}

fn microseconds(value: &Variant<'_>) -> Option<u64> {
    const MILLION: u64 = 1_000_000;
    let seconds = match *value {
        Variant::U8(n) => n.into(),
        Variant::I16(n) => u64::try_from(n).ok()?,
        Variant::U16(n) => n.into(),
        Variant::I32(n) => u64::try_from(n).ok()?,
        Variant::U32(n) => n.into(),
        Variant::I64(n) => u64::try_from(n).ok()?,
        Variant::U64(n) => n,
        Variant::F64(n) if n >= 0.0 => return Some((n * MILLION as f64) as u64),
        _ => return None,
    };
    seconds.checked_mul(MILLION)
}

fn variant(text: &str) -> Option<Variant<'static>> {
    let text = text.trim();
    let (kind, rest) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) if word.starts_with('@') => (Some(&word[1..]), rest.trim_start()),
        Some((word, rest)) if keyword(word).is_some() => (keyword(word), rest.trim_start()),
        _ => (None, text),
    };
    if let Some(list) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let kind = match kind {
            Some(kind) => Some(kind.strip_prefix('a')?),
            None => None,
        };
        return array(kind, &items(list)?);
    }
    scalar(kind, rest)
}

fn keyword(word: &str) -> Option<&'static str> {
    Some(match word {
        "boolean" => "b",
        "byte" => "y",
        "int16" => "n",
        "uint16" => "q",
        "int32" => "i",
        "uint32" => "u",
        "int64" => "x",
        "uint64" => "t",
        "double" => "d",
        "string" => "s",
        _ => return None,
    })
}

fn scalar(kind: Option<&str>, text: &str) -> Option<Variant<'static>> {
    let kind = match kind {
        Some(kind) => kind,
        None if matches!(text, "true" | "false") => "b",
        None if text.starts_with(['\'', '"']) => "s",
        None if text.contains(['.', 'e']) && !text.starts_with("0x") => "d",
        None => "i",
    };
    Some(match kind {
        "b" => text.parse::<bool>().ok()?.into(),
        "s" => unquote(text)?.into(),
        "d" => text.parse::<f64>().ok()?.into(),
        "y" => u8::try_from(integer(text)?).ok()?.into(),
        "n" => i16::try_from(integer(text)?).ok()?.into(),
        "q" => u16::try_from(integer(text)?).ok()?.into(),
        "i" => i32::try_from(integer(text)?).ok()?.into(),
        "u" => u32::try_from(integer(text)?).ok()?.into(),
        "x" => i64::try_from(integer(text)?).ok()?.into(),
        "t" => u64::try_from(integer(text)?).ok()?.into(),
        _ => return None,
    })
}

fn array(kind: Option<&str>, items: &[String]) -> Option<Variant<'static>> {
    let values: Vec<Variant<'static>> = items.iter().map(|item| scalar(kind, item)).collect::<Option<_>>()?;
    Some(match (kind, values.first()?) {
        (_, Variant::Str(_)) => each::<String>(values)?.into(),
        (_, Variant::Bool(_)) => each::<bool>(values)?.into(),
        (_, Variant::U8(_)) => each::<u8>(values)?.into(),
        (_, Variant::I32(_)) => each::<i32>(values)?.into(),
        (_, Variant::U32(_)) => each::<u32>(values)?.into(),
        (_, Variant::I64(_)) => each::<i64>(values)?.into(),
        (_, Variant::U64(_)) => each::<u64>(values)?.into(),
        _ => return None,
    })
}

fn each<T: TryFrom<Variant<'static>>>(values: Vec<Variant<'static>>) -> Option<Vec<T>> {
    values.into_iter().map(|value| T::try_from(value).ok()).collect()
}

/// The elements of a list, which no list is in. A comma in quotes is part of a text.
fn items(list: &str) -> Option<Vec<String>> {
    let mut out = vec![String::new()];
    let mut quote = None;
    let mut letters = list.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => {
                let last = out.last_mut()?;
                last.push(letter);
                last.push(letters.next()?);
                continue;
            }
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ',') => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        out.last_mut()?.push(letter);
    }
    quote.is_none().then(|| out.iter().map(|item| item.trim().to_owned()).collect())
}

fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    let mut out = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.push(match letters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            letter if letter == quote => return None,
            letter => out.push(letter),
        }
    }
    Some(out)
}

fn integer(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_their_types() {
        let cases: [(&str, Option<Variant<'static>>); 17] = [
            ("true", Some(true.into())),
            ("5", Some(5_i32.into())),
            ("uint64 5", Some(5_u64.into())),
            ("@t 0x10", Some(16_u64.into())),
            ("byte 300", None),
            ("-1", Some((-1_i32).into())),
            ("1.5", Some(1.5_f64.into())),
            ("'inactive-or-failed'", Some("inactive-or-failed".to_owned().into())),
            (r#""it's \"it\"""#, Some("it's \"it\"".to_owned().into())),
            ("'open", None),
            ("['a, b', 'c']", Some(vec!["a, b".to_owned(), "c".to_owned()].into())),
            ("@au [1, 2]", Some(vec![1_u32, 2].into())),
            ("[1, 'a']", None),
            ("[]", None),
            ("nonsense", None),
            ("", None),
            ("{'a': 1}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(variant(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_letters_and_seconds_become_microseconds() {
        let read = |key: &str, value: &str| {
            properties(Some(&HashMap::from([(key.to_owned(), value.to_owned())]))).ok()
        };
        let cases = [
            ("other", "x", Some(vec![])),
            (
                "org.systemd.property.CollectMode",
                "'inactive'",
                Some(vec![("CollectMode".to_owned(), Variant::from("inactive".to_owned()))]),
            ),
            (
                "org.systemd.property.TimeoutStopSec",
                "uint64 2",
                Some(vec![("TimeoutStopUSec".to_owned(), Variant::from(2_000_000_u64))]),
            ),
            ("org.systemd.property.TimeoutStopSec", "'2'", None),
            (
                "org.systemd.property.TimeoutStopUSec",
                "uint64 2",
                Some(vec![("TimeoutStopUSec".to_owned(), Variant::from(2_u64))]),
            ),
            ("org.systemd.property.a", "1", None),
            ("org.systemd.property.a-b-c", "1", None),
        ];
        for (key, value, expected) in cases {
            assert_eq!(read(key, value), expected, "{key}={value}");
        }
    }
}
