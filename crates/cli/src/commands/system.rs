//! `system …`, and what concerns no single noun: version, info, login, events, inspect.

pub(crate) mod confirm;
mod df;
mod dial_stdio;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod login;
pub(crate) mod logout;
mod prune;
pub(crate) mod version;

use super::{Entry, Node};

pub(crate) static NODES: &[Node] = &[
    Node::Verb(Entry::of::<df::Df>("df")),
    Node::Alias(Entry::of::<dial_stdio::DialStdio>("dial-stdio")),
    Node::Verb(Entry::of::<events::Events>("events")),
    Node::Verb(Entry::of::<info::Info>("info")),
    Node::Verb(Entry::of::<prune::Prune>("prune")),
];
