//! What the types of flags accept, with Go's error texts.

use barge_api::time::parse_duration;

/// A type a flag can have.
pub(crate) trait Value {
    /// How help texts name it.
    const KIND: &'static str;
    /// Whether the bare flag means true.
    const IS_SWITCH: bool = false;
    /// Takes one value in; the error says what is wrong with it.
    fn set(&mut self, text: &str) -> Result<(), String>;
}

impl Value for bool {
    const KIND: &'static str = "";
    const IS_SWITCH: bool = true;

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self =
            parse_bool(text).ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))?;
        Ok(())
    }
}

impl Value for String {
    const KIND: &'static str = "string";

    fn set(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(self);
        Ok(())
    }
}

impl Value for Vec<String> {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.push(text.to_owned());
        Ok(())
    }
}

/// Remembers whether it was given at all.
impl<T: Value + Default> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const IS_SWITCH: bool = T::IS_SWITCH;

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.get_or_insert_default().set(text)
    }
}

macro_rules! integers {
    ($($ty:ty, $kind:literal, $parser:literal;)*) => { $(
        impl Value for $ty {
            const KIND: &'static str = $kind;

            fn set(&mut self, text: &str) -> Result<(), String> {
                let value = parse_integer(text).map_err(|reason| format!("strconv.{}: parsing {text:?}: {reason}", $parser))?;
                *self = value.try_into().map_err(|_| format!("strconv.{}: parsing {text:?}: value out of range", $parser))?;
                Ok(())
            }
        }
    )* };
}

integers! {
    i64, "int", "ParseInt";
    u16, "uint16", "ParseUint";
    u64, "uint", "ParseUint";
}

/// Numbers in the bases Go reads: decimal, `0x`, `0o` or a leading zero, `0b`.
fn parse_integer(text: &str) -> Result<i128, &'static str> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err("invalid syntax");
    }
    let value = i128::from_str_radix(digits, base).map_err(|_| "value out of range")?;
    Ok(if negative { -value } else { value })
}

/// Go's spellings of true and false.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A duration such as `1m30s`, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nanoseconds(pub(crate) i64);

impl Value for Nanoseconds {
    const KIND: &'static str = "duration";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let duration = parse_duration(text).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
        self.0 =
            i64::try_from(duration.as_nanos()).map_err(|_| format!("time: invalid duration {text:?}"))?;
        Ok(())
    }
}

/// `NAME=VALUE` pairs, the last of each name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs(pub(crate) std::collections::BTreeMap<String, String>);

impl Value for Pairs {
    const KIND: &'static str = "map";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

/// Labels `NAME[=VALUE]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(pub(crate) Vec<String>);

impl Labels {
    /// By name, the last value of each.
    pub(crate) fn into_map(self) -> std::collections::BTreeMap<String, String> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        self.0.iter().map(pair).collect()
    }
}

impl Value for Labels {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let name = text.split('=').next().unwrap_or_default().trim_start_matches([' ', '\t']);
        if name.is_empty() {
            return Err(format!("invalid label '{text}': empty name"));
        }
        if name.contains([' ', '\t']) {
            return Err(format!("label '{name}' contains whitespaces"));
        }
        self.0.push(text.to_owned());
        Ok(())
    }
}

/// `NAME=VALUE`, or `NAME` to pass ours on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(pub(crate) Vec<String>);

impl Value for Environment {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (name, has_value) = match text.split_once('=') {
            Some((name, _)) => (name, true),
            None => (text, false),
        };
        if name.is_empty() {
            return Err(format!("invalid environment variable: {text}"));
        }
        match (has_value, std::env::var(name)) {
            (false, Ok(value)) => self.0.push(format!("{name}={value}")),
            _ => self.0.push(text.to_owned()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_as_go_does() {
        let cases = [
            ("10", Ok(10)),
            ("-1", Ok(-1)),
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("0", Ok(0)),
            ("", Err("invalid syntax")),
            ("1k", Err("invalid syntax")),
            ("--1", Err("invalid syntax")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_integer(text), expected, "{text}");
        }
        let mut weight = 0u16;
        assert!(weight.set("70000").unwrap_err().contains("value out of range"));
    }

    #[test]
    fn labels_and_environment_need_names() {
        assert!(Labels::default().set("=x").is_err());
        assert!(Labels::default().set("a b=x").is_err());
        assert!(Labels::default().set("a=x y").is_ok());
        assert!(Environment::default().set("=x").is_err());
        let mut environment = Environment::default();
        environment.set("BARGE_SURELY_NOT_SET").unwrap();
        environment.set("A=").unwrap();
        assert_eq!(environment.0, ["BARGE_SURELY_NOT_SET", "A="]);
    }
}
