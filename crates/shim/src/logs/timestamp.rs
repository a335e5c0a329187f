//! Times in log entries: RFC 3339 in UTC with as many digits after the second as it takes (Go's `RFC3339Nano`).

use std::io::Write;

use jiff::Timestamp;

/// Formats times; the part down to the second is formatted once per second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: Option<i64>,
    prefix: String,
}

impl Clock {
    /// Appends `time`.
    pub(super) fn append(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let second = time.as_nanosecond().div_euclid(1_000_000_000);
        let nanos = time.as_nanosecond().rem_euclid(1_000_000_000);
        let second = i64::try_from(second).unwrap_or_default();
        if self.second != Some(second) {
            self.prefix = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            self.second = Some(second);
        }
        out.extend_from_slice(self.prefix.as_bytes());
        if nanos != 0 {
            // Writing to a vector can't fail.
            let _ = write!(out, ".{nanos:09}");
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let mut clock = Clock::default();
        for text in [
            "2026-11-20T22:55:01.123456789Z",
            "2026-11-20T22:55:01.5Z",
            "2026-11-20T22:55:01Z",
            "2026-11-20T22:55:10.00000001Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.25Z",
        ] {
            let mut out = Vec::new();
            clock.append(&mut out, text.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
