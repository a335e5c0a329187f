//! Files of `NAME=VALUE` lines: `--env-file` and `--label-file`.

use crate::failure::reason;

/// What a line with a name alone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BareName {
    /// Our own variable of that name, if it is set.
    FromEnvironment,
    /// The name with an empty value.
    Keep,
}

/// Reads all files after one another, then adds what the command line says, which so wins.
pub(crate) fn read(files: &[String], given: Vec<String>, bare: BareName) -> Result<Vec<String>, String> {
    let mut pairs = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| format!("open {file}: {}", reason(&error)))?;
        pairs.extend(parse(file, &bytes, bare, |name| std::env::var(name).ok())?);
    }
    pairs.extend(given);
    Ok(pairs)
}

fn parse(
    file: &str,
    bytes: &[u8],
    bare: BareName,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut pairs = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let wrong = |reason: String| format!("invalid env file ({file}): {reason}");
        let line = std::str::from_utf8(line)
            .map_err(|_| wrong(format!("invalid utf8 bytes at line {}: {line:?}", number + 1)))?;
        let line = line.trim_start().trim_end_matches('\r');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        if name.is_empty() {
            return Err(wrong(format!("no variable name on line '{line}'")));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong(format!("variable '{name}' contains whitespaces")));
        }
        match (value, bare) {
            (Some(value), _) => pairs.push(format!("{name}={value}")),
            (None, BareName::Keep) => pairs.push(name.to_owned()),
            (None, BareName::FromEnvironment) => {
                pairs.extend(lookup(name).map(|value| format!("{name}={value}")))
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = b"\xef\xbb\xbf# comment\n\n  A=1\r\nB= two words \nSET\nUNSET\nC==x\n";
        let lookup = |name: &str| (name == "SET").then(|| "yes".to_owned());
        let pairs = parse("f", text, BareName::FromEnvironment, lookup).unwrap();
        assert_eq!(pairs, ["A=1", "B= two words ", "SET=yes", "C==x"]);
        assert_eq!(parse("f", b"a\n", BareName::Keep, lookup).unwrap(), ["a"]);
        for text in [&b"=x"[..], b"a b=x", b"\xff=1"] {
            assert!(parse("f", text, BareName::Keep, lookup).is_err());
        }
    }
}
