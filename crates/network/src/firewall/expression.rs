//! The few nf_tables expressions that the rules are made of, named as `nft --debug=netlink`
//! prints them. Pure. `fib`, `ct`, `nat` and `masq` are encoded here by hand: the packet crate
//! does not know them.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta,
    MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

/// One step of a rule.
pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// The first two 16-byte registers, and the 4-byte ones that the first is made of.
pub(super) const REG_1: Register = Register::Reg1;
pub(super) const REG_2: Register = Register::Reg2;
pub(super) const REG_1B: Register = Register::Reg32_01;
pub(super) const REG_1C: Register = Register::Reg32_02;

/// Bits of a connection's state (linux/netfilter/nf_conntrack_common.h).
pub(super) const ESTABLISHED: u32 = 1 << 1;
pub(super) const RELATED: u32 = 1 << 2;
/// Bit of a connection's status: its destination was rewritten.
pub(super) const DESTINATION_REWRITTEN: u32 = 1 << 5;

/// Which header a [`payload`] is read from.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// A property of a connection (`NFT_CT_*`).
#[derive(Clone, Copy)]
pub(super) enum Tracked {
    State = 0,
    Status = 2,
}

pub(super) fn meta(key: MetaKey, into: Register) -> Expression {
    Expressions::Meta(vec![Meta::DestinationRegister(into), Meta::Key(key)]).into()
}

pub(super) fn payload(base: Base, offset: u32, length: u32, into: Register) -> Expression {
    Expressions::Payload(vec![
        Payload::DestinationRegister(into),
        Payload::Base(base as u32),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
    .into()
}

/// Goes on only if the register equals `value`.
pub(super) fn equal(register: Register, value: &[u8]) -> Expression {
    compare(register, Operator::Equal, value)
}

fn compare(register: Register, operator: Operator, value: &[u8]) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(register),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(value.to_vec())),
    ])
    .into()
}

/// Goes on only if the connection has one of `bits`.
pub(super) fn tracked(property: Tracked, bits: u32) -> [Expression; 3] {
    let load = other("ct", &[(1, u32::from(REG_1)), (2, property as u32)]);
    let mask = Expressions::Bitwise(vec![
        Bitwise::SourceRegister(REG_1),
        Bitwise::DestinationRegister(REG_1),
        Bitwise::Length(4),
        Bitwise::Mask(DataAttribute::Value(bits.to_ne_bytes().to_vec())),
        Bitwise::Xor(DataAttribute::Value(vec![0; 4])),
    ]);
    [load, mask.into(), compare(REG_1, Operator::NotEqual, &[0; 4])]
}

/// Goes on only if the packet is for an address of this host.
pub(super) fn to_this_host() -> [Expression; 2] {
    const RESULT_ADDRTYPE: u32 = 3;
    const FLAG_DADDR: u32 = 1 << 1;
    const RTN_LOCAL: u32 = 2;
    [
        other("fib", &[(1, u32::from(REG_1)), (2, RESULT_ADDRTYPE), (3, FLAG_DADDR)]),
        equal(REG_1, &RTN_LOCAL.to_ne_bytes()),
    ]
}

/// Goes on only if the set has what stands in the registers from the first on.
pub(super) fn lookup(set: &str) -> Expression {
    Expressions::Lookup(vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(REG_1)]).into()
}

/// Like [`lookup`], and puts the map's value into the registers from the first on.
pub(super) fn lookup_value(map: &str) -> Expression {
    Expressions::Lookup(vec![
        Lookup::Set(map.to_owned()),
        Lookup::SourceRegister(REG_1),
        Lookup::DestinationRegister(REG_1),
    ])
    .into()
}

/// Rewrites the destination to the address in the first register and the port in the next.
pub(super) fn dnat() -> Expression {
    const TYPE_DNAT: u32 = 1;
    const IPV4: u32 = 2;
    other("nat", &[(1, TYPE_DNAT), (2, IPV4), (3, u32::from(REG_1)), (5, u32::from(REG_1B))])
}

/// Rewrites the source to the address of the interface by which the packet leaves.
pub(super) fn masquerade() -> Expression {
    other("masq", &[])
}

pub(super) fn accept() -> Expression {
    verdict(1)
}

pub(super) fn drop() -> Expression {
    verdict(0)
}

fn verdict(code: u32) -> Expression {
    let verdict = DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(code))]);
    Expressions::Immediate(vec![Immediate::DestinationRegister(Register::Verdict), Immediate::Data(verdict)])
        .into()
}

/// An expression whose attributes are all big-endian 32-bit numbers.
fn other(name: &str, attributes: &[(u16, u32)]) -> Expression {
    let attributes =
        attributes.iter().map(|(kind, value)| DefaultNla::new(*kind, value.to_be_bytes().to_vec())).collect();
    Expressions::Other { expression_type: name.to_owned(), attributes }.into()
}
