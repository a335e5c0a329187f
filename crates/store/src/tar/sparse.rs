//! Files with holes: the four ways in which GNU tar writes where the pieces lie.
//!
//! ```text
//! old GNU   type 'S', four pairs in the header, 21 in each further block
//! PAX 0.0   GNU.sparse.offset / GNU.sparse.numbytes, repeated
//! PAX 0.1   GNU.sparse.map = offset,length,offset,length…
//! PAX 1.0   decimal lines at the beginning of the content, filled up to a block
//! ```

use super::numbers;

/// A piece of content: the rest is holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The most pieces of one file (16 MiB of memory).
pub(super) const MAX_SEGMENTS: usize = 1 << 20;

/// What the PAX records of one entry say about holes.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Numbers of 0.0 and 0.1, offset and length by turns.
    numbers: Vec<u64>,
    major: u64,
    minor: u64,
    seen: bool,
}

impl PaxSparse {
    /// Takes in a record whose key begins with `GNU.sparse.`; `None` if its value is not valid.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.seen = true;
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(numbers::decimal(value)?),
            b"major" => self.major = numbers::decimal(value)?,
            b"minor" => self.minor = numbers::decimal(value)?,
            b"offset" | b"numbytes" => self.numbers.push(numbers::decimal(value)?),
            b"map" if value.is_empty() => self.numbers.clear(),
            b"map" => {
                let list: Option<Vec<u64>> = value.split(|b| *b == b',').map(numbers::decimal).collect();
                self.numbers = list?;
            }
            _ => {}
        }
        Some(())
    }

    pub(super) fn form(self) -> Form {
        match (self.seen, self.major, self.minor) {
            (false, ..) => Form::Dense,
            (true, 1, 0) => Form::MapInContent,
            (true, 0, _) => Form::Map(self.numbers),
            _ => Form::Unknown,
        }
    }
}

/// How an entry's PAX records describe holes.
#[derive(Debug)]
pub(super) enum Form {
    Dense,
    Map(Vec<u64>),
    MapInContent,
    Unknown,
}

/// Pairs up offsets and lengths and checks that they are in order, inside the file, and as much as the
/// archive holds.
pub(super) fn segments(numbers: &[u64], size: u64, stored: u64) -> Option<Vec<Segment>> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_SEGMENTS {
        return None;
    }
    let mut end = 0;
    let mut total = 0u64;
    let mut segments = Vec::with_capacity(numbers.len() / 2);
    for pair in numbers.chunks_exact(2) {
        let segment = Segment { offset: pair[0], length: pair[1] };
        if segment.offset < end {
            return None;
        }
        end = segment.offset.checked_add(segment.length)?;
        total = total.checked_add(segment.length)?;
        if segment.length > 0 {
            segments.push(segment);
        }
    }
    (end <= size && total == stored && i64::try_from(size).is_ok()).then_some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_must_be_in_order_and_inside() {
        let cases: [(&[u64], u64, u64, bool); 8] = [
            (&[0, 512, 1024, 512, 4096, 0], 4096, 1024, true),
            (&[], 100, 0, true),
            (&[0, 512, 256, 512], 4096, 1024, false),
            (&[0, 512], 256, 512, false),
            (&[0, 512], 4096, 1024, false),
            (&[0], 4096, 0, false),
            (&[u64::MAX, 2], u64::MAX, 2, false),
            (&[], u64::MAX, 0, false),
        ];
        for (numbers, size, stored, valid) in cases {
            assert_eq!(segments(numbers, size, stored).is_some(), valid, "{numbers:?}");
        }
    }
}
