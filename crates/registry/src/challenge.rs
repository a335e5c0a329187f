//! `WWW-Authenticate`: what a registry wants before it answers (RFC 9110 section 11.6.1, RFC 6750 section 3).
//!
//! One header may carry several challenges, several headers may come; all are read, malformed rests are dropped.

use std::collections::BTreeMap;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case, values unquoted.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// All challenges of one header's value.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return challenges;
        }
        let after_spaces = after.trim_start_matches([' ', '\t']);
        match (after_spaces.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = parameter_value(value.trim_start_matches([' ', '\t']));
                challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                rest = after;
            }
            // A parameter without a scheme before it says nothing.
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
                rest = after;
            }
        }
    }
}

/// The longest prefix of token characters, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // Unquoted URLs are seen in the wild, so more than token characters is taken.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Challenge { scheme: scheme.to_owned(), parameters }
    }

    #[test]
    fn challenges_are_read() {
        let table = [
            (r#"Basic realm="r""#, vec![challenge("basic", &[("realm", "r")])]),
            (
                r#"Bearer realm="https://a.example/token",service="s",scope="repository:a/b:pull,push""#,
                vec![challenge(
                    "bearer",
                    &[
                        ("realm", "https://a.example/token"),
                        ("service", "s"),
                        ("scope", "repository:a/b:pull,push"),
                    ],
                )],
            ),
            (
                r#"BEARER Realm=https://a.example/t , Error="insufficient_scope", Basic realm="x\"y""#,
                vec![
                    challenge("bearer", &[("realm", "https://a.example/t"), ("error", "insufficient_scope")]),
                    challenge("basic", &[("realm", "x\"y")]),
                ],
            ),
            ("Negotiate", vec![challenge("negotiate", &[])]),
            ("", vec![]),
            (r#"="x""#, vec![]),
            (r#"Basic realm="open"#, vec![challenge("basic", &[("realm", "open")])]),
            (r#"realm="x""#, vec![]),
            ("Basic \"", vec![challenge("basic", &[])]),
            (r#"Basic realm="é\"#, vec![challenge("basic", &[("realm", "é")])]),
        ];
        for (header, expected) in table {
            assert_eq!(parse(header), expected, "{header}");
        }
    }
}
