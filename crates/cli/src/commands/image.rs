//! `image …`, and the same at the top.

pub(crate) mod history;
pub(crate) mod import;
mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod tag;

use super::{Entry, Node};

pub(crate) static NODES: &[Node] = &[
    Node::Verb(Entry::of::<history::History>("history")),
    Node::Verb(Entry::of::<import::Import>("import")),
    Node::Verb(Entry::of::<inspect::Inspect>("inspect")),
    Node::Verb(Entry::of::<load::Load>("load")),
    Node::Verb(Entry::of::<ls::Ls>("ls")),
    Node::Alias(Entry::of::<ls::Ls>("list")),
    Node::Verb(Entry::of::<prune::Prune>("prune")),
    Node::Verb(Entry::of::<pull::Pull>("pull")),
    Node::Verb(Entry::of::<push::Push>("push")),
    Node::Verb(Entry::of::<rm::Rm>("rm")),
    Node::Alias(Entry::of::<rm::Rm>("remove")),
    Node::Verb(Entry::of::<save::Save>("save")),
    Node::Verb(Entry::of::<tag::Tag>("tag")),
];
