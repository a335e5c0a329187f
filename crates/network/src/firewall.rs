//! The firewall table: one nf_tables table of our own, by netlink, in transactions.
//!
//! The rules never change (`ruleset`); networks and published ports are elements of its sets
//! and maps (`element`), so one port more is one small message, whatever else there is. Since
//! the table is a function of the networks and endpoints, it is never compared or mended:
//! [`Firewall::replace`] puts a new one in the old one's place in one transaction. Connections
//! under way keep their translation, which is conntrack's, not the table's.
//!
//! Other people's tables are never changed, only looked at ([`Firewall::obstacles`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use barge_sys::netlink::{self, Family, Message, Socket, flags};
use netlink_packet_core::{Emitable, NetlinkSerializable};
use netlink_packet_netfilter::nftables::{NfTablesMessage, TableAttribute, TableMessage};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

use crate::error::{Error, Result};
use crate::network::{Endpoint, Network};

mod element;
mod expression;
mod obstacle;
mod ruleset;

use element::{Element, Place};

/// The table of one driver.
#[derive(Debug)]
pub struct Firewall {
    table: String,
    /// Held during a transaction: the kernel commits one at a time anyhow.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    socket: Socket,
    /// Which endpoint (by its veth) each published port leads to. A container's end can be seen
    /// late, when its port has a new owner already: that one's element must stay.
    owners: HashMap<Place, String>,
}

impl Firewall {
    /// Opens a way to the tables of the calling thread's network namespace. Changes nothing.
    pub fn open(table: &str) -> Result<Self> {
        let socket = Socket::open(Family::Netfilter).map_err(|source| Error::Netlink { source })?;
        let state = Mutex::new(State { socket, owners: HashMap::new() });
        Ok(Self { table: table.to_owned(), state })
    }

    /// Whether the table is there with all its chains and sets. Others may have flushed it
    /// (`nft flush ruleset`).
    pub fn stands(&self) -> Result<bool> {
        let question = NfTablesMessage::GetTable(TableMessage { attributes: vec![self.name()] });
        match self.state().socket.query(&message(question, 0)) {
            Ok((_, body)) => Ok(obstacle::objects(&body) == Some(ruleset::OBJECTS)),
            Err(error) if error.errno() == Some(NOT_FOUND) => Ok(false),
            Err(source) => Err(self.refused("looking it up", source)),
        }
    }

    /// Puts a table for exactly these networks and endpoints in place of what is there.
    pub fn replace<'a>(
        &self,
        networks: impl IntoIterator<Item = (&'a Network, Vec<&'a Endpoint>)>,
    ) -> Result<()> {
        let mut elements = Vec::new();
        let mut owners = HashMap::new();
        for (network, endpoints) in networks {
            elements.extend(element::of_network(network));
            for endpoint in endpoints {
                let ports = element::of_endpoint(network, &endpoint.spec);
                owners.extend(ports.iter().map(|port| (port.place(), endpoint.veth.clone())));
                elements.extend(ports);
            }
        }
        let mut messages = vec![
            message(ruleset::table(&self.table), flags::CREATE),
            message(NfTablesMessage::DeleteTable(TableMessage { attributes: vec![self.name()] }), 0),
            message(ruleset::table(&self.table), flags::CREATE),
        ];
        let skeleton = ruleset::skeleton(&self.table).into_iter();
        messages.extend(skeleton.map(|part| message(part, flags::CREATE | flags::APPEND)));
        messages.extend(self.adding(&elements));
        let mut state = self.state();
        state.socket.batch(&messages).map_err(|source| self.refused("replacing it", source))?;
        state.owners = owners;
        Ok(())
    }

    /// Removes the table. One that is not there is no error.
    pub fn remove(&self) -> Result<()> {
        let table = TableMessage { attributes: vec![self.name()] };
        let mut state = self.state();
        state.owners.clear();
        match state.socket.batch(&[message(NfTablesMessage::DeleteTable(table), 0)]) {
            Err(error) if error.errno() != Some(NOT_FOUND) => Err(self.refused("removing it", error)),
            _ => Ok(()),
        }
    }

    /// Puts a network into the table.
    pub fn add_network(&self, network: &Network) -> Result<()> {
        let operation = format!("adding bridge {}", network.bridge);
        self.add(&mut self.state(), &element::of_network(network), &operation)
    }

    /// Takes a network out of the table.
    pub fn remove_network(&self, network: &Network) -> Result<()> {
        let operation = format!("removing bridge {}", network.bridge);
        self.delete(&mut self.state(), &element::of_network(network), &operation)
    }

    /// Publishes an endpoint's ports.
    pub fn publish(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        let elements = element::of_endpoint(network, &endpoint.spec);
        let mut state = self.state();
        self.add(&mut state, &elements, &format!("publishing ports of {}", endpoint.spec.address))?;
        state.owners.extend(elements.iter().map(|port| (port.place(), endpoint.veth.clone())));
        Ok(())
    }

    /// Withdraws an endpoint's ports, but for those that have a new owner.
    pub fn withdraw(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        let mut state = self.state();
        let mut elements = element::of_endpoint(network, &endpoint.spec);
        elements.retain(|port| state.owners.get(&port.place()).is_none_or(|owner| *owner == endpoint.veth));
        for port in &elements {
            state.owners.remove(&port.place());
        }
        self.delete(&mut state, &elements, &format!("withdrawing ports of {}", endpoint.spec.address))
    }

    /// Base chains of others that drop what is forwarded unless told otherwise, in words.
    pub fn obstacles(&self) -> Vec<String> {
        let mut chains = Vec::new();
        let question = message(obstacle::all_chains(), 0);
        // A listing torn by a change, or refused, warns of nothing; it is advice, no more.
        let listed = self.state().socket.dump(&question, |_, body| chains.push(body.to_vec()));
        if listed.is_err() {
            return Vec::new();
        }
        chains.iter().filter_map(|body| obstacle::warning(body, &self.table)).collect()
    }

    /// Adds elements. One that is there and leads elsewhere is a leftover, of an endpoint whose
    /// end nobody has seen yet: who holds the port's socket has the right to it.
    fn add(&self, state: &mut State, elements: &[Element], operation: &str) -> Result<()> {
        let added: Vec<_> = self.adding(elements).collect();
        match state.socket.batch(&added) {
            Err(error) if error.errno() == Some(EXISTS) => {}
            other => return other.map_err(|source| self.refused(operation, source)),
        }
        self.delete(state, elements, operation)?;
        state.socket.batch(&added).map_err(|source| self.refused(operation, source))
    }

    /// Deletes elements. Those that are not there, or a table that is not, are no error.
    fn delete(&self, state: &mut State, elements: &[Element], operation: &str) -> Result<()> {
        let deleted: Vec<_> = self.deleting(elements).collect();
        match state.socket.batch(&deleted) {
            Err(error) if error.errno() == Some(NOT_FOUND) && elements.len() > 1 => {
                elements.chunks(1).try_for_each(|element| self.delete(state, element, operation))
            }
            Err(error) if error.errno() == Some(NOT_FOUND) => Ok(()),
            other => other.map_err(|source| self.refused(operation, source)),
        }
    }

    fn adding<'a>(&'a self, elements: &'a [Element]) -> impl Iterator<Item = Message> + 'a {
        element::messages(&self.table, elements)
            .map(|list| message(NfTablesMessage::NewSetElement(list), flags::CREATE))
    }

    fn deleting<'a>(&'a self, elements: &'a [Element]) -> impl Iterator<Item = Message> + 'a {
        element::messages(&self.table, elements)
            .map(|list| message(NfTablesMessage::DeleteSetElement(list), 0))
    }

    fn refused(&self, operation: &str, source: netlink::Error) -> Error {
        Error::Firewall { table: self.table.clone(), operation: operation.to_owned(), source }
    }

    fn name(&self) -> TableAttribute {
        TableAttribute::Name(self.table.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Requests are numbered: a panic between two of them leaves the socket usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NOT_FOUND: i32 = rustix::io::Errno::NOENT.raw_os_error();
const EXISTS: i32 = rustix::io::Errno::EXIST.raw_os_error();

/// A message of the `ip` family in the kernel's form.
fn message(inner: NfTablesMessage, flags: u16) -> Message {
    let packet = NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0), inner);
    let mut body = vec![0; Emitable::buffer_len(&packet)];
    packet.emit(&mut body);
    Message { kind: packet.message_type(), flags, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame that all messages share. What the expressions hold shows in `nft list`
    /// (tests/it/published.rs).
    #[test]
    fn a_rule_in_the_kernels_form() {
        use netlink_packet_netfilter::nftables::{RuleAttribute, RuleMessage};
        let rule = RuleMessage {
            attributes: vec![
                RuleAttribute::Table("t".to_owned()),
                RuleAttribute::Chain("c".to_owned()),
                RuleAttribute::Expressions(vec![expression::masquerade(), expression::drop()]),
            ],
        };
        let packet = message(NfTablesMessage::NewRule(rule), flags::CREATE);
        assert_eq!(packet.kind, 10 << 8 | 6);
        #[rustfmt::skip]
        let expected = [
            2, 0, 0, 0,                                     // nfgenmsg: ip
            6, 0, 1, 0, b't', 0, 0, 0,                      // NFTA_RULE_TABLE
            6, 0, 2, 0, b'c', 0, 0, 0,                      // NFTA_RULE_CHAIN
            72, 0, 4, 0x80,                                 // NFTA_RULE_EXPRESSIONS
            20, 0, 1, 0x80,                                 //   NFTA_LIST_ELEM
            9, 0, 1, 0, b'm', b'a', b's', b'q', 0, 0, 0, 0, //     NFTA_EXPR_NAME
            4, 0, 2, 0x80,                                  //     NFTA_EXPR_DATA
            48, 0, 1, 0x80,                                 //   NFTA_LIST_ELEM
            14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e', 0, 0, 0,
            28, 0, 2, 0x80,                                 //     NFTA_EXPR_DATA
            8, 0, 1, 0, 0, 0, 0, 0,                         //       NFTA_IMMEDIATE_DREG: verdict
            16, 0, 2, 0x80,                                 //       NFTA_IMMEDIATE_DATA
            12, 0, 2, 0x80,                                 //         NFTA_DATA_VERDICT
            8, 0, 1, 0, 0, 0, 0, 0,                         //           NFTA_VERDICT_CODE: drop
        ];
        assert_eq!(packet.body, expected);
    }
}
