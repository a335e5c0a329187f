//! Rules that libseccomp never comes to an end of. Pure.
//!
//! libseccomp 2.5 keeps the rules of a system call as a tree, test by test in the order of the arguments. Where two
//! rules begin with the same tests, an inequality among them, and go on with different ones, it walks the tree for
//! ever (`_db_tree_put()`): it compares 64 bits by halves, and takes one half's branch for the other's. Nothing can
//! be done from outside, and whoever waits for a container would wait for ever too: such a profile is refused.

use std::collections::HashMap;

use barge_oci::runtime_spec::{LinuxSeccompArg, LinuxSeccompOperator as Operator};

use crate::error::{Error, Result};

/// The conditional rules seen so far, by system call.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<String, Vec<Vec<LinuxSeccompArg>>>);

impl Seen {
    /// Remembers a rule, unless there is one that it does not go with.
    pub(super) fn add(&mut self, call: &str, arguments: &[LinuxSeccompArg]) -> Result<()> {
        let mut arguments = arguments.to_vec();
        // The order that libseccomp tests them in.
        arguments.sort_by_key(LinuxSeccompArg::index);
        let seen = self.0.entry(call.to_owned()).or_default();
        if seen.iter().any(|one| never_ends(one, &arguments) || never_ends(&arguments, one)) {
            let reason =
                format!("rules for {call} begin with the same inequality, which libseccomp can't do");
            return Err(Error::SeccompProfile { reason });
        }
        if !seen.contains(&arguments) {
            seen.push(arguments);
        }
        Ok(())
    }
}

fn never_ends(one: &[LinuxSeccompArg], other: &[LinuxSeccompArg]) -> bool {
    let same = one.iter().zip(other).take_while(|(one, other)| is_same(one, other)).count();
    let (Some(next), Some(others)) = (one.get(same), other.get(same)) else { return false };
    let inequality = |argument: &LinuxSeccompArg| !is_equality(argument);
    let apart = next.index() != others.index() || is_ordering(next) && !is_ordering(others);
    one[..same].iter().any(inequality) && apart
}

fn is_same(one: &LinuxSeccompArg, other: &LinuxSeccompArg) -> bool {
    let mask = |argument: &LinuxSeccompArg| argument.value_two().unwrap_or(0);
    let masks = one.op() != Operator::ScmpCmpMaskedEq || mask(one) == mask(other);
    masks && (one.index(), one.op(), one.value()) == (other.index(), other.op(), other.value())
}

fn is_equality(argument: &LinuxSeccompArg) -> bool {
    matches!(argument.op(), Operator::ScmpCmpEq | Operator::ScmpCmpMaskedEq)
}

fn is_ordering(argument: &LinuxSeccompArg) -> bool {
    !is_equality(argument) && argument.op() != Operator::ScmpCmpNe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(tests: &[(u32, &str, u64)]) -> Vec<LinuxSeccompArg> {
        let test = |(index, op, value): &(u32, &str, u64)| json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": value});
        serde_json::from_value(tests.iter().map(test).collect()).unwrap()
    }

    #[test]
    fn rules_that_part_after_an_inequality_are_refused() {
        let cases = [
            // As libseccomp 2.5.4 has been seen to do.
            (&[(1, "GT", 5), (2, "LE", 1)][..], &[(1, "GT", 5), (3, "GE", 1)][..], true),
            (&[(1, "NE", 5), (2, "EQ", 1)], &[(1, "NE", 5), (3, "EQ", 1)], true),
            (&[(2, "LE", 1), (1, "GT", 5)], &[(3, "EQ", 1), (1, "GT", 5)], true),
            (&[(1, "LE", 5), (2, "LT", 1)], &[(1, "LE", 5), (2, "EQ", 9)], true),
            (&[(1, "GT", 5), (2, "EQ", 1)], &[(1, "GT", 5), (2, "EQ", 9)], false),
            (&[(1, "GT", 5), (2, "LE", 1)], &[(1, "GT", 5), (2, "LE", 1)], false),
            (&[(1, "GT", 5), (2, "LE", 1)], &[(1, "GT", 5)], false),
            (&[(1, "GT", 5), (2, "LE", 1)], &[(1, "GT", 6), (3, "GE", 1)], false),
            (&[(1, "EQ", 5), (2, "LE", 1)], &[(1, "EQ", 5), (3, "GE", 1)], false),
            (&[(0, "EQ", 5), (1, "NE", 7), (2, "LE", 1)], &[(0, "EQ", 5), (1, "NE", 7), (3, "GE", 1)], true),
        ];
        for (one, other, refused) in cases {
            let mut seen = Seen::default();
            seen.add("socket", &rule(one)).unwrap();
            assert_eq!(seen.add("socket", &rule(other)).is_err(), refused, "{one:?} {other:?}");
            seen.add("bind", &rule(other)).unwrap();
        }
    }
}
