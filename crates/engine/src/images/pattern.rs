//! Go's `path.Match`, which the `reference` filter speaks: `*` and `?` stop at a slash, `[a-z]` is a class, a
//! backslash takes the next character as it is.

use barge_oci::Reference;

use crate::error::{Error, Result};

/// Whether `pattern` matches the name as Docker shows it, with or without its tag.
///
/// # Errors
/// If the pattern is malformed.
pub(super) fn matches_reference(pattern: &str, reference: &Reference) -> Result<bool> {
    Ok(matches(pattern, &reference.familiar())? || matches(pattern, &reference.familiar_name())?)
}

/// Whether all of `text` matches.
pub(super) fn matches(pattern: &str, text: &str) -> Result<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let pieces =
        parse(&pattern).ok_or_else(|| Error::invalid("invalid reference filter: syntax error in pattern"))?;
    Ok(matches_from(&pieces, &text))
}

enum Piece {
    One(char),
    AnyOne,
    AnyRun,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

fn parse(pattern: &[char]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&character) = pattern.get(at) {
        at += 1;
        pieces.push(match character {
            '*' => Piece::AnyRun,
            '?' => Piece::AnyOne,
            '\\' => {
                at += 1;
                Piece::One(*pattern.get(at - 1)?)
            }
            '[' => {
                let (class, after) = parse_class(pattern, at)?;
                at = after;
                class
            }
            other => Piece::One(other),
        });
    }
    Some(pieces)
}

fn parse_class(pattern: &[char], mut at: usize) -> Option<(Piece, usize)> {
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        if pattern.get(at) == Some(&']') && !ranges.is_empty() {
            return Some((Piece::Class { negated, ranges }, at + 1));
        }
        let (low, after) = class_character(pattern, at)?;
        at = after;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            (high, at) = class_character(pattern, at + 1)?;
        }
        ranges.push((low, high));
    }
}

fn class_character(pattern: &[char], at: usize) -> Option<(char, usize)> {
    match pattern.get(at)? {
        '-' | ']' => None,
        '\\' => Some((*pattern.get(at + 1)?, at + 2)),
        other => Some((*other, at + 1)),
    }
}

/// Backtracks to the last `*` only, so that no pattern takes more than pattern times text.
fn matches_from(pieces: &[Piece], text: &[char]) -> bool {
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match pieces.get(piece) {
            Some(Piece::AnyRun) => {
                retry = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            None if at == text.len() => return true,
            Some(one) if text.get(at).is_some_and(|character| matches_one(one, *character)) => {
                piece += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        // A `*` can't swallow a slash, nor more than there is.
        match retry {
            Some((after, from)) if text.get(from).is_some_and(|character| *character != '/') => {
                retry = Some((after, from + 1));
                (piece, at) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

fn matches_one(piece: &Piece, character: char) -> bool {
    match piece {
        Piece::One(wanted) => *wanted == character,
        Piece::AnyOne => character != '/',
        Piece::AnyRun => false,
        Piece::Class { negated, ranges } => {
            character != '/'
                && ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        let table = [
            ("busybox", "busybox", true),
            ("busy*", "busybox:latest", true),
            ("busy*:l*t", "busybox:latest", true),
            ("*box", "busybox", true),
            ("*box", "library/busybox", false),
            ("*/busybox", "library/busybox", true),
            ("b?sybox", "busybox", true),
            ("[a-c]usybox", "busybox", true),
            ("[^a-c]usybox", "busybox", false),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("\\*", "*", true),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("**", "ab", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text).unwrap(), expected, "{pattern} {text}");
        }
        for broken in ["[", "[a", "[]a]", "\\", "[-a]", "[a-"] {
            assert!(matches(broken, "a").is_err(), "{broken}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "a*".repeat(200);
        assert!(!matches(&pattern, &format!("{}/", "a".repeat(2000))).unwrap());
    }
}
