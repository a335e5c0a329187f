//! The numbers in tar headers: octal, or base 256 where octal is too short; decimal in PAX.

use super::Time;

/// Reads a header's field: octal digits between spaces and NULs, or a big-endian two's complement
/// number marked by the first bit.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    if first & 0x80 != 0 {
        return base256(bytes);
    }
    let is_filler = |b: &u8| *b == b' ' || *b == 0;
    let digits: Vec<u8> =
        bytes.iter().copied().skip_while(|b| is_filler(b)).take_while(|b| !is_filler(b)).collect();
    digits.iter().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn base256(bytes: &[u8]) -> Option<i64> {
    // The second bit is the sign: `0x80` begins a positive number, `0xff` a negative one.
    let negative = bytes[0] & 0x40 != 0;
    let first = if negative { bytes[0] } else { bytes[0] & 0x7f };
    let start = if negative { -1i128 } else { 0 };
    let mut value = start;
    for byte in std::iter::once(first).chain(bytes[1..].iter().copied()) {
        value = value.checked_mul(256)?.checked_add(i128::from(byte))?;
        if !(-(1 << 100)..1 << 100).contains(&value) {
            return None;
        }
    }
    i64::try_from(value).ok()
}

/// Reads a decimal number of a PAX record.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Reads a PAX time: seconds with an optional fraction, of which nine digits count.
pub(super) fn time(bytes: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let seconds: i64 = if whole == "-" { 0 } else { whole.parse().ok()? };
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    if negative && nanoseconds > 0 {
        return Some(Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Some(Time { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octal_or_base_256() {
        let cases: [(&[u8], Option<i64>); 10] = [
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"12x\0", None),
            (b"0000008\0", None),
            (&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0], Some(0x2_0000_0000)),
            (&[0xff; 12], Some(-1)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], Some(-2)),
            (&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(field(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        let cases = [
            ("1700000000.123456789", Some((1_700_000_000, 123_456_789))),
            ("1.5", Some((1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("7", Some((7, 0))),
            ("", None),
            ("1.x", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            let time = time(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
            assert_eq!(time, expected, "{text}");
        }
    }
}
