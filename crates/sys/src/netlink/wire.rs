//! Netlink headers and acknowledgements as bytes (linux/netlink.h, nfnetlink.h). Pure.

use std::io;

use super::Error;

/// `NLM_F_*`.
pub mod flags {
    /// Set on every request.
    pub const REQUEST: u16 = 0x1;
    /// Ask for an acknowledgement.
    pub const ACK: u16 = 0x4;
    /// List all.
    pub const DUMP: u16 = 0x300;
    /// Replace what exists.
    pub const REPLACE: u16 = 0x100;
    /// Fail if it exists.
    pub const EXCL: u16 = 0x200;
    /// Create if it does not exist.
    pub const CREATE: u16 = 0x400;
    /// Put at the end of a list.
    pub const APPEND: u16 = 0x800;
    /// On an answer: the listing is inconsistent.
    pub const DUMP_INTERRUPTED: u16 = 0x10;
    /// On an acknowledgement: attributes with details follow.
    pub(super) const ACK_TLVS: u16 = 0x200;
    /// On an acknowledgement: the request's body is left out.
    pub(super) const CAPPED: u16 = 0x100;
}

pub(super) const ERROR: u16 = 2;
pub(super) const DONE: u16 = 3;
pub(super) const BATCH_BEGIN: u16 = 0x10;
pub(super) const BATCH_END: u16 = 0x11;

/// `struct nfgenmsg` of a batch's frame: family 0, version 0, big-endian subsystem 10 (nf_tables).
pub(super) const BATCH_OF_NFTABLES: [u8; 4] = [0, 0, 0, 10];

const HEADER: usize = 16;

/// Writes one message with its header, padded to four bytes.
pub(super) fn append(datagram: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    let length = (HEADER + body.len()) as u32;
    datagram.extend_from_slice(&length.to_ne_bytes());
    datagram.extend_from_slice(&kind.to_ne_bytes());
    datagram.extend_from_slice(&(flags | self::flags::REQUEST).to_ne_bytes());
    datagram.extend_from_slice(&sequence.to_ne_bytes());
    datagram.extend_from_slice(&0u32.to_ne_bytes());
    datagram.extend_from_slice(body);
    datagram.resize(datagram.len().next_multiple_of(4), 0);
}

/// One message of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// Splits a datagram; `None` stands for a header that does not fit, and ends the iteration.
pub(super) fn parts(mut datagram: &[u8]) -> impl Iterator<Item = Option<Part<'_>>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let part = split(&mut datagram);
        if part.is_none() {
            datagram = &[];
        }
        Some(part)
    })
}

fn split<'a>(datagram: &mut &'a [u8]) -> Option<Part<'a>> {
    let length = u32_at(datagram, 0)? as usize;
    let message = datagram.get(..length)?;
    let part = Part {
        kind: u16_at(message, 4)?,
        flags: u16_at(message, 6)?,
        sequence: u32_at(message, 8)?,
        body: message.get(HEADER..)?,
    };
    *datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some(part)
}

/// The kernel's final word on a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0 or a negative errno.
    code: i32,
    explanation: Option<String>,
}

impl Answer {
    pub(super) fn parse(part: &Part<'_>) -> Option<Self> {
        // A listing's end may come without a code.
        let code = if part.kind == DONE && part.body.is_empty() { 0 } else { u32_at(part.body, 0)? as i32 };
        let explanation =
            if part.flags & flags::ACK_TLVS != 0 { explanation(part).unwrap_or_default() } else { None };
        Some(Self { code, explanation })
    }

    pub(super) fn refusal(self, index: usize) -> Option<Error> {
        if self.code == 0 {
            return None;
        }
        let source = io::Error::from_raw_os_error(self.code.wrapping_neg());
        Some(Error::Refused { index, source, explanation: self.explanation })
    }
}

/// `NLMSGERR_ATTR_MSG`: the reason in words. The attributes stand after the code and, in an
/// error, after the copy of the request's header (and body, unless capped).
fn explanation(part: &Part<'_>) -> Option<Option<String>> {
    const TEXT: u16 = 1;
    let mut start = 4;
    if part.kind == ERROR {
        let request = u32_at(part.body, 4)? as usize;
        start += if part.flags & flags::CAPPED != 0 { HEADER } else { request.next_multiple_of(4) };
    }
    let mut attributes = part.body.get(start..)?;
    while !attributes.is_empty() {
        let length = u16_at(attributes, 0)? as usize;
        let value = attributes.get(4..length)?;
        if u16_at(attributes, 2)? == TEXT {
            let text = value.split(|&byte| byte == 0).next()?;
            return Some(Some(String::from_utf8_lossy(text).into_owned()));
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Some(None)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut datagram = Vec::new();
        append(&mut datagram, 16, flags::ACK, 7, &[1, 2, 3, 4, 5]);
        append(&mut datagram, 17, 0, 8, &[]);
        assert_eq!(datagram.len(), 24 + 16);
        let found: Vec<_> = parts(&datagram).map(|part| part.expect("whole")).collect();
        assert_eq!(found[0], Part { kind: 16, flags: 5, sequence: 7, body: &[1, 2, 3, 4, 5] });
        assert_eq!(found[1], Part { kind: 17, flags: 1, sequence: 8, body: &[] });
    }

    #[test]
    fn torn_datagrams_end_in_none() {
        let mut datagram = Vec::new();
        append(&mut datagram, 16, 0, 7, &[0; 8]);
        for cut in 1..datagram.len() {
            assert_eq!(parts(&datagram[..cut]).last(), Some(None), "cut at {cut}");
        }
        let zero_length = [0u8; 16];
        assert_eq!(parts(&zero_length).collect::<Vec<_>>(), vec![None]);
    }

    #[test]
    fn the_explanation_of_a_refusal_is_found() {
        let text = b"No such device\0\0";
        for (extra_flags, echoed) in [(flags::CAPPED, 0usize), (0, 12)] {
            let mut body = (-19i32).to_ne_bytes().to_vec();
            body.extend_from_slice(&((HEADER + echoed) as u32).to_ne_bytes());
            body.resize(4 + HEADER + echoed, 0);
            body.extend_from_slice(&19u16.to_ne_bytes());
            body.extend_from_slice(&1u16.to_ne_bytes());
            body.extend_from_slice(text);
            let part = Part { kind: ERROR, flags: flags::ACK_TLVS | extra_flags, sequence: 1, body: &body };
            let error = Answer::parse(&part).expect("parses").refusal(3).expect("refused");
            assert_eq!(error.errno(), Some(19));
            assert_eq!(error.to_string(), "No such device (os error 19): No such device");
        }
    }
}
