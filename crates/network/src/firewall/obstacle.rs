//! Reading what the kernel says of tables and chains, and telling whose chain is in the way. Pure.

use netlink_packet_core::{NlaBuffer, NlasIterator};
use netlink_packet_netfilter::nftables::{ChainMessage, NfTablesMessage};

/// Attribute numbers of linux/netfilter/nf_tables.h.
mod attribute {
    pub(super) const TABLE_USE: u16 = 3;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_POLICY: u16 = 5;
    pub(super) const HOOK_NUMBER: u16 = 1;
}

/// `struct nfgenmsg`, before the attributes.
const HEADER: usize = 4;

/// A question for every chain of the `ip` family.
pub(super) fn all_chains() -> NfTablesMessage {
    NfTablesMessage::GetChain(ChainMessage { attributes: vec![] })
}

/// How many chains and sets a table has.
pub(super) fn objects(body: &[u8]) -> Option<u32> {
    number(find(body.get(HEADER..)?, attribute::TABLE_USE)?.value())
}

/// A warning if the chain drops forwarded packets by default and is not ours.
pub(super) fn warning(body: &[u8], own_table: &str) -> Option<String> {
    const FORWARD: u32 = 2;
    const DROP: u32 = 0;
    let attributes = body.get(HEADER..)?;
    let hook = find(attributes, attribute::CHAIN_HOOK)?;
    let forwarding = number(find(hook.value(), attribute::HOOK_NUMBER)?.value())? == FORWARD;
    let dropping = number(find(attributes, attribute::CHAIN_POLICY)?.value())? == DROP;
    let table = text(find(attributes, attribute::CHAIN_TABLE)?.value());
    if !forwarding || !dropping || table == own_table {
        return None;
    }
    let chain = text(find(attributes, attribute::CHAIN_NAME)?.value());
    Some(format!(
        "the chain {chain} of the firewall table {table} drops forwarded packets by default: containers \
         may be unreachable, and unable to reach the outside, until it accepts their bridges"
    ))
}

fn find(attributes: &[u8], kind: u16) -> Option<NlaBuffer<&[u8]>> {
    NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == kind)
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}
