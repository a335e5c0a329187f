//! From a word list to a running command.

use std::pin::Pin;

use super::help;
use crate::cli::Cli;
use crate::failure::{Failure, REFUSED, Result};
use crate::flags::{self, FlagSet, Order, Parsed};
use crate::output;

/// How many arguments a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Between(usize, usize),
}

/// A command.
pub(crate) trait Verb {
    /// Its flags.
    type Flags: FlagSet + 'static;
    /// Its arguments, as the usage line shows them behind the name.
    const USAGE: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// How many arguments it takes.
    const ARITY: Arity;
    /// Whether flags may follow arguments.
    const ORDER: Order = Order::Mixed;

    /// Runs it.
    fn run(cli: &Cli, flags: Self::Flags, args: Vec<String>) -> impl Future<Output = Result<()>>;
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A command in the tree.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// For the test that no flag is told twice.
    #[cfg(test)]
    specs: fn() -> Vec<crate::flags::Spec>,
    start: for<'a> fn(&'a Cli, String, Vec<String>) -> Running<'a>,
}

impl Entry {
    /// `V` under the name it is called by.
    pub(crate) const fn of<V: Verb>(name: &'static str) -> Self {
        Self {
            name,
            about: V::ABOUT,
            #[cfg(test)]
            specs: <V::Flags as FlagSet>::specs,
            start: start::<V>,
        }
    }
}

/// A word in the tree.
pub(crate) enum Node {
    Verb(Entry),
    /// Name, what it is about, and what is under it.
    Group(&'static str, &'static str, &'static [Self]),
    /// Another name for a verb, understood but not shown.
    Alias(Entry),
}

impl Node {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Verb(entry) | Self::Alias(entry) => entry.name,
            Self::Group(name, ..) => name,
        }
    }
}

/// Follows the words down the tree; `path` is what was followed so far.
pub(crate) async fn descend(
    cli: &Cli,
    mut path: String,
    mut nodes: &'static [Node],
    words: Vec<String>,
) -> Result<()> {
    let mut words = words.into_iter();
    // `help NOUN VERB` is `NOUN VERB --help`.
    let mut wants_help = false;
    let mut about = "";
    loop {
        let Some(word) = words.next() else {
            output::write(&help::tree(&path, about, nodes));
            return Ok(());
        };
        match word.as_str() {
            "--help" | "-h" => {
                output::write(&help::tree(&path, about, nodes));
                return Ok(());
            }
            "help" => {
                wants_help = true;
                continue;
            }
            flag if flag.starts_with('-') => {
                let name = flag.trim_start_matches('-');
                let text = format!(
                    "unknown flag: --{name}\n\nUsage:  {path} COMMAND\n\nRun '{path} --help' for more information"
                );
                return Err(Failure::new(text).with_code(REFUSED));
            }
            _ => {}
        }
        match nodes.iter().find(|node| node.name() == word) {
            None => {
                // Under a noun Docker shows the usage too.
                let usage =
                    if about.is_empty() { String::new() } else { format!("\n\nUsage:  {path} COMMAND") };
                let more = format!("Run '{path} --help' for more information");
                return Err(Failure::new(format!(
                    "{}: unknown command: {path} {word}{usage}\n\n{more}",
                    cli.program
                )));
            }
            Some(Node::Group(name, text, under)) => {
                about = text;
                path = format!("{path} {name}");
                nodes = under;
            }
            Some(Node::Verb(entry) | Node::Alias(entry)) => {
                let path = format!("{path} {}", entry.name);
                let args = if wants_help { vec!["--help".to_owned()] } else { words.collect() };
                return (entry.start)(cli, path, args).await;
            }
        }
    }
}

fn start<V: Verb>(cli: &Cli, path: String, args: Vec<String>) -> Running<'_> {
    Box::pin(async move {
        let usage = || format!("Usage:  {path} {}", V::USAGE);
        let more = || format!("Run '{path} --help' for more information");
        match flags::parse::<V::Flags>(args, V::ORDER) {
            Ok(Parsed::Help) => {
                output::write(&help::verb(&path, V::USAGE, V::ABOUT, &<V::Flags as FlagSet>::specs()));
                Ok(())
            }
            Ok(Parsed::Flags(flags, args)) => {
                if let Some(wish) = refusal(V::ARITY, args.len()) {
                    // Docker's own texts differ in this one word.
                    let more = if wish.starts_with("requires at least") {
                        more().replacen("Run", "See", 1)
                    } else {
                        more()
                    };
                    return Err(Failure::new(format!(
                        "{}: '{path}' {wish}\n\n{}\n\n{more}",
                        cli.program,
                        usage()
                    )));
                }
                V::run(cli, flags, args).await
            }
            Err(error) => {
                Err(Failure::new(format!("{error}\n\n{}\n\n{}", usage(), more())).with_code(REFUSED))
            }
        }
    })
}

/// What is wrong with that many arguments.
fn refusal(arity: Arity, count: usize) -> Option<String> {
    let arguments = |count: usize| if count == 1 { "argument" } else { "arguments" };
    match arity {
        Arity::Exactly(0) if count > 0 => Some("accepts no arguments".to_owned()),
        Arity::Exactly(wanted) if count != wanted => Some(format!("requires {wanted} {}", arguments(wanted))),
        Arity::AtLeast(least) if count < least => {
            Some(format!("requires at least {least} {}", arguments(least)))
        }
        Arity::AtMost(most) if count > most => Some(format!("requires at most {most} {}", arguments(most))),
        Arity::Between(least, most) if count < least || count > most => {
            Some(format!("requires at least {least} and at most {most} {}", arguments(most)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_counts() {
        assert_eq!(refusal(Arity::Exactly(0), 1).as_deref(), Some("accepts no arguments"));
        assert_eq!(refusal(Arity::Exactly(2), 1).as_deref(), Some("requires 2 arguments"));
        assert_eq!(refusal(Arity::AtLeast(1), 0).as_deref(), Some("requires at least 1 argument"));
        assert_eq!(refusal(Arity::AtMost(1), 2).as_deref(), Some("requires at most 1 argument"));
        assert_eq!(
            refusal(Arity::Between(1, 2), 3).as_deref(),
            Some("requires at least 1 and at most 2 arguments")
        );
        assert_eq!(refusal(Arity::AtLeast(1), 5), None);
    }

    #[test]
    fn no_name_is_taken_twice_and_no_short_flag_either() {
        fn check(nodes: &[Node]) {
            let mut names: Vec<_> = nodes.iter().map(Node::name).collect();
            names.sort_unstable();
            let before = names.len();
            names.dedup();
            assert_eq!(names.len(), before);
            for node in nodes {
                match node {
                    Node::Group(_, _, under) => check(under),
                    Node::Verb(entry) | Node::Alias(entry) => {
                        let mut seen = std::collections::BTreeSet::new();
                        for spec in (entry.specs)() {
                            assert!(seen.insert(spec.long.to_owned()), "{}: --{}", entry.name, spec.long);
                            if let Some(short) = spec.short {
                                assert!(seen.insert(short.to_string()), "{}: -{short}", entry.name);
                            }
                        }
                    }
                }
            }
        }
        check(crate::commands::TREE);
    }
}
