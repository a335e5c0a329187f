//! Help texts of nouns and verbs.

use std::fmt::Write;

use super::{Entry, Node};
use crate::cli::GlobalFlags;
use crate::flags::{self, FlagSet, Spec};

/// The product's name as titles write it.
pub(crate) fn title(program: &str) -> String {
    let mut letters = program.chars();
    letters
        .next()
        .map(|first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
        .unwrap_or_default()
}

/// What stands under a noun that is about `about`, or at the top without one.
pub(crate) fn tree(path: &str, about: &str, nodes: &[Node]) -> String {
    let is_top = about.is_empty();
    let usage = if is_top { "[OPTIONS] COMMAND" } else { "COMMAND" };
    let mut text = format!("\nUsage:  {path} {usage}\n");
    let verbs: Vec<&Entry> = nodes
        .iter()
        .filter_map(|node| if let Node::Verb(entry) = node { Some(entry) } else { None })
        .collect();
    let groups: Vec<(&str, &str)> = nodes
        .iter()
        .filter_map(|node| if let Node::Group(name, about, _) = node { Some((*name, *about)) } else { None })
        .collect();
    if is_top {
        text.push_str("\nA container engine that speaks Docker\n");
        // The table of commands has the common ones before the nouns.
        let common = nodes.iter().take_while(|node| matches!(node, Node::Verb(_))).count();
        section(
            &mut text,
            "Common Commands",
            verbs.iter().take(common).map(|entry| (entry.name, entry.about)),
        );
        section(&mut text, "Management Commands", groups.into_iter());
        section(&mut text, "Commands", verbs.iter().skip(common).map(|entry| (entry.name, entry.about)));
        let _ = write!(text, "\nGlobal Options:\n{}", flags::help::options(&GlobalFlags::specs()));
    } else {
        let _ = writeln!(text, "\n{about}");
        section(&mut text, "Commands", verbs.iter().map(|entry| (entry.name, entry.about)));
    }
    let _ = writeln!(text, "\nRun '{path} COMMAND --help' for more information on a command.");
    text
}

fn section<'a>(text: &mut String, heading: &str, lines: impl Iterator<Item = (&'a str, &'a str)>) {
    let lines: Vec<_> = lines.collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{heading}:");
    for (name, about) in lines {
        let _ = writeln!(text, "  {name:width$}   {about}");
    }
}

/// One command.
pub(crate) fn verb(path: &str, usage: &str, about: &str, specs: &[Spec]) -> String {
    let mut text = format!("\nUsage:  {path} {usage}\n\n{about}\n");
    if !specs.is_empty() {
        let _ = write!(text, "\nOptions:\n{}", flags::help::options(specs));
    }
    text
}
