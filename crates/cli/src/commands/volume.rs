//! `volume …`.

mod create;
mod inspect;
mod ls;
mod prune;
mod rm;

use super::{Entry, Node};

pub(crate) static NODES: &[Node] = &[
    Node::Verb(Entry::of::<create::Create>("create")),
    Node::Verb(Entry::of::<inspect::Inspect>("inspect")),
    Node::Verb(Entry::of::<ls::Ls>("ls")),
    Node::Alias(Entry::of::<ls::Ls>("list")),
    Node::Verb(Entry::of::<prune::Prune>("prune")),
    Node::Verb(Entry::of::<rm::Rm>("rm")),
    Node::Alias(Entry::of::<rm::Rm>("remove")),
];
