//! The table, without the elements that come and go: sets, chains and rules. Pure.
//!
//! ```text
//! early        from a bridge, to or from 127/8: drop
//! prerouting   to this host: dnat by the maps            (but not to 127/8: that is no address
//! output       to this host: dnat by the maps             of ours on any wire)
//! forward      answers: accept;  inside one bridge, if its endpoints may talk: accept
//!              from or to an internal network: drop;  published: accept;  to a bridge: drop
//! local        ICMP redirects to a bridge: drop
//! postrouting  from 127/8, or published and from a neighbour, to a bridge: masquerade
//!              to a bridge: as it is;  from a masquerading subnet: masquerade
//! ```
//!
//! All chains accept what they don't speak of. A drop is final for the packet, an accept is
//! not: other tables may still drop it (see `obstacles`).

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, InetHookNumber, MetaKey, NfTablesMessage, RuleAttribute, RuleMessage,
    SetAttribute, SetFlags, SetMessage, TableAttribute, TableMessage,
};

use super::expression::{
    Base, DESTINATION_REWRITTEN, ESTABLISHED, Expression, REG_1, REG_1B, REG_1C, REG_2, RELATED, Tracked,
    accept, dnat, drop, equal, lookup, lookup_value, masquerade, meta, payload, to_this_host, tracked,
};

/// Names of the sets and maps.
pub(super) mod set {
    /// proto . port -> address . port
    pub(crate) const PUBLISHED: &str = "published";
    /// host address . proto . port -> address . port
    pub(crate) const PUBLISHED_AT: &str = "published-at";
    /// Every bridge of ours.
    pub(crate) const BRIDGES: &str = "bridges";
    /// The bridges of internal networks.
    pub(crate) const INTERNAL: &str = "internal";
    /// Pairs of in- and outgoing bridge between which endpoints may talk.
    pub(crate) const TALKING: &str = "talking";
    /// Every subnet of ours.
    pub(crate) const SUBNETS: &str = "subnets";
    /// The subnets that hide behind the host's address.
    pub(crate) const MASQUERADED: &str = "masqueraded";
}

/// Numbers of nft's data types, which make `nft list` print sets in words.
mod datatype {
    pub(super) const IPV4: u32 = 7;
    pub(super) const PROTOCOL: u32 = 12;
    pub(super) const SERVICE: u32 = 13;
    pub(super) const IFNAME: u32 = 41;

    pub(super) fn concat(parts: &[u32]) -> u32 {
        parts.iter().fold(0, |sum, part| sum << 6 | part)
    }
}

/// How many objects [`skeleton`] puts into the table; the kernel counts chains and sets.
pub(super) const OBJECTS: u32 = 7 + 6;

/// Creates the table if it is missing, with nothing in it.
pub(super) fn table(name: &str) -> NfTablesMessage {
    NfTablesMessage::NewTable(TableMessage { attributes: vec![TableAttribute::Name(name.to_owned())] })
}

/// Everything that stands in the table for as long as it exists.
pub(super) fn skeleton(table: &str) -> Vec<NfTablesMessage> {
    let mut messages = sets(table);
    for (name, place, rules) in chains() {
        messages.push(chain(table, name, place));
        messages.extend(rules.into_iter().map(|rule| rule_message(table, name, rule)));
    }
    messages
}

/// A set's key or a map's value: data type and length in bytes, each field padded to four.
type Field = (u32, u32);

/// Tells `nft list`, and nobody else, that keys are not big-endian numbers: type 0 (the key's
/// byte order), four bytes, 1 (the host's).
const HOST_BYTE_ORDER: [u8; 6] = [0, 4, 1, 0, 0, 0];

fn sets(table: &str) -> Vec<NfTablesMessage> {
    use datatype::{IFNAME, IPV4, PROTOCOL, SERVICE, concat};
    const PLAIN: SetFlags = SetFlags::empty();
    let target = Some((concat(&[IPV4, SERVICE]), 8));
    let specifications: [(&str, SetFlags, Field, Option<Field>); 7] = [
        (set::PUBLISHED, SetFlags::Map, (concat(&[PROTOCOL, SERVICE]), 8), target),
        (set::PUBLISHED_AT, SetFlags::Map, (concat(&[IPV4, PROTOCOL, SERVICE]), 12), target),
        (set::BRIDGES, PLAIN, (IFNAME, 16), None),
        (set::INTERNAL, PLAIN, (IFNAME, 16), None),
        (set::TALKING, PLAIN, (concat(&[IFNAME, IFNAME]), 32), None),
        (set::SUBNETS, SetFlags::Interval, (IPV4, 4), None),
        (set::MASQUERADED, SetFlags::Interval, (IPV4, 4), None),
    ];
    let message = |((name, flags, key, value), id): ((&str, SetFlags, Field, Option<Field>), u32)| {
        let mut attributes = vec![
            SetAttribute::Table(table.to_owned()),
            SetAttribute::Name(name.to_owned()),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(key.0),
            SetAttribute::KeyLen(key.1),
            SetAttribute::Id(id),
        ];
        if let Some((kind, length)) = value {
            attributes.extend([SetAttribute::DataType(kind), SetAttribute::DataLen(length)]);
        }
        if key.0 == IFNAME {
            attributes.push(SetAttribute::UserData(HOST_BYTE_ORDER.into()));
        }
        NfTablesMessage::NewSet(SetMessage { attributes })
    };
    specifications.into_iter().zip(1..).map(message).collect()
}

/// Where a chain hangs in the packet's way (linux/netfilter_ipv4.h: the priorities).
struct Place {
    kind: &'static str,
    hook: InetHookNumber,
    priority: i32,
}

type Rule = Vec<Expression>;

fn chains() -> [(&'static str, Place, Vec<Rule>); 6] {
    use InetHookNumber::{Forward, LocalOut, PostRouting, PreRouting};
    let filter = |hook, priority| Place { kind: "filter", hook, priority };
    let nat = |hook, priority| Place { kind: "nat", hook, priority };
    [
        ("early", filter(PreRouting, -300), early()),
        ("prerouting", nat(PreRouting, -100), divert(Loopback::Left)),
        ("output", nat(LocalOut, -100), divert(Loopback::Diverted)),
        ("forward", filter(Forward, 0), forward()),
        ("local", filter(LocalOut, 0), local()),
        ("postrouting", nat(PostRouting, 100), postrouting()),
    ]
}

/// Offsets of the source and destination address in the IPv4 header.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// The bridges route 127/8 (`route_localnet`), for published ports to be reachable at
/// 127.0.0.1. A container must not thereby reach what listens on the host's loopback. Before
/// connection tracking, since answers to masqueraded connections become 127/8 behind it.
fn early() -> Vec<Rule> {
    [SOURCE, DESTINATION]
        .map(|offset| {
            let mut rule = vec![meta(MetaKey::Iifname, REG_1), lookup(set::BRIDGES)];
            rule.extend(loopback_at(offset));
            rule.push(drop());
            rule
        })
        .into()
}

/// What a chain of dnat does with packets for 127/8.
#[derive(PartialEq)]
enum Loopback {
    Diverted,
    Left,
}

fn divert(loopback: Loopback) -> Vec<Rule> {
    let protocol_and_port =
        |protocol, port| [meta(MetaKey::L4Proto, protocol), payload(Base::Transport, 2, 2, port)];
    let mut at: Rule = to_this_host().into();
    at.push(payload(Base::Network, DESTINATION, 4, REG_1));
    at.extend(protocol_and_port(REG_1B, REG_1C));
    at.extend([lookup_value(set::PUBLISHED_AT), dnat()]);
    let mut anywhere: Rule = to_this_host().into();
    anywhere.extend(protocol_and_port(REG_1, REG_1B));
    anywhere.extend([lookup_value(set::PUBLISHED), dnat()]);
    let mut rules = vec![at, anywhere];
    if loopback == Loopback::Left {
        let mut rule: Rule = loopback_at(DESTINATION).into();
        rule.push(accept());
        rules.insert(0, rule);
    }
    rules
}

fn forward() -> Vec<Rule> {
    let from = |set| vec![meta(MetaKey::Iifname, REG_1), lookup(set)];
    let to = |set| vec![meta(MetaKey::Oifname, REG_1), lookup(set)];
    let talking = vec![meta(MetaKey::Iifname, REG_1), meta(MetaKey::Oifname, REG_2), lookup(set::TALKING)];
    let closed = |mut rule: Rule, verdict: Expression| {
        rule.push(verdict);
        rule
    };
    let with = |mut rule: Rule, property, bits| {
        rule.extend(tracked(property, bits));
        rule
    };
    vec![
        closed(with(to(set::BRIDGES), Tracked::State, ESTABLISHED | RELATED), accept()),
        closed(talking, accept()),
        closed(from(set::INTERNAL), drop()),
        closed(to(set::INTERNAL), drop()),
        closed(with(to(set::BRIDGES), Tracked::Status, DESTINATION_REWRITTEN), accept()),
        closed(to(set::BRIDGES), drop()),
    ]
}

/// A packet for a neighbour's published port enters and leaves by the same bridge, which makes
/// the kernel advise the sender to go there straight. Following that, it would lose the way.
fn local() -> Vec<Rule> {
    const ICMP: u8 = 1;
    const REDIRECT: u8 = 5;
    vec![vec![
        meta(MetaKey::Oifname, REG_1),
        lookup(set::BRIDGES),
        meta(MetaKey::L4Proto, REG_1),
        equal(REG_1, &[ICMP]),
        payload(Base::Transport, 0, 1, REG_1),
        equal(REG_1, &[REDIRECT]),
        drop(),
    ]]
}

fn postrouting() -> Vec<Rule> {
    let to_bridge = || vec![meta(MetaKey::Oifname, REG_1), lookup(set::BRIDGES)];
    let from_subnet = |set| [payload(Base::Network, SOURCE, 4, REG_1), lookup(set), masquerade()];
    let mut from_loopback = to_bridge();
    from_loopback.extend(loopback_at(SOURCE));
    from_loopback.push(masquerade());
    // The answer would go straight to the neighbour, who asked somebody else.
    let mut from_neighbour = to_bridge();
    from_neighbour.extend(tracked(Tracked::Status, DESTINATION_REWRITTEN));
    from_neighbour.extend(from_subnet(set::SUBNETS));
    let mut inside = to_bridge();
    inside.push(accept());
    vec![from_loopback, from_neighbour, inside, from_subnet(set::MASQUERADED).into()]
}

/// Goes on only if the address at that offset is in 127/8.
fn loopback_at(offset: u32) -> [Expression; 2] {
    [payload(Base::Network, offset, 1, REG_1), equal(REG_1, &[127])]
}

fn chain(table: &str, name: &str, place: Place) -> NfTablesMessage {
    const POLICY_ACCEPT: u32 = 1;
    NfTablesMessage::NewChain(ChainMessage {
        attributes: vec![
            ChainAttribute::Table(table.to_owned()),
            ChainAttribute::Name(name.to_owned()),
            ChainAttribute::Type(place.kind.to_owned()),
            ChainAttribute::Hook(vec![
                Hook::Number(place.hook.into()),
                Hook::Priority(place.priority.cast_unsigned()),
            ]),
            ChainAttribute::Policy(POLICY_ACCEPT),
        ],
    })
}

fn rule_message(table: &str, chain: &str, rule: Rule) -> NfTablesMessage {
    NfTablesMessage::NewRule(RuleMessage {
        attributes: vec![
            RuleAttribute::Table(table.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(rule),
        ],
    })
}
