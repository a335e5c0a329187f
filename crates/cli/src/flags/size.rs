//! Sizes in bytes, `512m`, and numbers of CPUs, `1.5`.

use super::value::Value;

/// Bytes, written with the binary units `b k m g t p`, with or without `b` or `ib` behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) i64);

impl Value for Bytes {
    const KIND: &'static str = "bytes";

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0 = parse_bytes(text)?;
        Ok(())
    }
}

/// Bytes, or -1 for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SwapBytes(pub(crate) i64);

impl Value for SwapBytes {
    const KIND: &'static str = "bytes";

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0 = if text == "-1" { -1 } else { parse_bytes(text)? };
        Ok(())
    }
}

/// Reads a size as Docker does, binary whatever the unit's spelling.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let refuse = || format!("invalid size: '{text}'");
    let digits = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |at| at + 1);
    if digits == 0 {
        return Err(refuse());
    }
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let exponent = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(format!("invalid suffix: '{unit}'")),
    };
    let number: f64 = number.parse().map_err(|_| refuse())?;
    if !number.is_finite() || number < 0.0 {
        return Err(refuse());
    }
    // A size above 2^63 saturates, which the engine then refuses.
    Ok((number * 1024f64.powi(exponent)) as i64)
}

/// CPUs, in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpus(pub(crate) i64);

impl Value for Cpus {
    const KIND: &'static str = "decimal";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let refuse = || format!("failed to parse {text} as a rational number");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(refuse());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err("value is too precise".to_owned());
        }
        self.0 = format!("{whole}{fraction:0<9}").parse().map_err(|_| refuse())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("32k", Some(32 << 10)),
            ("512m", Some(512 << 20)),
            ("1.5G", Some(3 << 29)),
            ("2GiB", Some(2 << 30)),
            ("2gb", Some(2 << 30)),
            ("64 MB", Some(64 << 20)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1.2.3m", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn cpus() {
        let read = |text: &str| {
            let mut cpus = Cpus::default();
            cpus.set(text).map(|()| cpus.0)
        };
        assert_eq!(read("1.5"), Ok(1_500_000_000));
        assert_eq!(read(".25"), Ok(250_000_000));
        assert_eq!(read("2"), Ok(2_000_000_000));
        assert_eq!(read("0.0000000001"), Err("value is too precise".to_owned()));
        assert!(read("x").is_err() && read("").is_err() && read("-1").is_err() && read(".").is_err());
    }
}
