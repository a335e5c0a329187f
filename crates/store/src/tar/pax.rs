//! PAX extended headers: `<length> <key>=<value>\n`, the length counting the whole record.

/// The records of one extended header, in order.
pub(super) struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    pub(super) fn new(header: &'a [u8]) -> Self {
        Self(header)
    }

    fn split(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let space = self.0.iter().take(20).position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&self.0[..space]).ok()?.parse().ok()?;
        if length <= space + 1 || length > self.0.len() {
            return None;
        }
        let (record, rest) = self.0.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n")?;
        let equals = record.iter().position(|b| *b == b'=')?;
        self.0 = rest;
        Some((&record[..equals], &record[equals + 1..]))
    }
}

impl<'a> Iterator for Records<'a> {
    /// Key and value; an error where the header breaks the format.
    type Item = Result<(&'a [u8], &'a [u8]), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers fill up the last block inside the header's own length.
        if self.0.iter().all(|b| *b == 0) {
            return None;
        }
        let record = self.split();
        if record.is_none() {
            self.0 = &[];
        }
        Some(record.ok_or(()))
    }
}

/// Appends one record to a header being written.
pub(super) fn push(header: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length includes its own digits, so it may grow by one when they do.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() != rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    header.extend_from_slice(length.to_string().as_bytes());
    header.push(b' ');
    header.extend_from_slice(key);
    header.push(b'=');
    header.extend_from_slice(value);
    header.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_whatever_their_length_and_bytes() {
        for length in 0..2000 {
            let value: Vec<u8> = (0..length).map(|i| if i % 7 == 0 { b'\n' } else { i as u8 | 1 }).collect();
            let mut header = Vec::new();
            push(&mut header, b"key", &value);
            push(&mut header, b"b", b"c=d");
            let records: Vec<_> = Records::new(&header).map(|record| record.unwrap()).collect();
            assert_eq!(records, [(&b"key"[..], &value[..]), (b"b", b"c=d")]);
        }
    }

    #[test]
    fn broken_records_are_reported_once() {
        for header in [&b"5 a=b"[..], b"99 a=b\n", b"x a=b\n", b"6 a=bc\n", b"4 a\n", b"1 \n", b"a"] {
            let records: Vec<_> = Records::new(header).collect();
            assert_eq!(records, [Err(())], "{header:?}");
        }
    }
}
