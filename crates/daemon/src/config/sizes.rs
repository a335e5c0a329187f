//! Sizes as people write them: `64m`, `1.5GiB`, `1024`.

/// Bytes of a text with an optional binary unit; `None` if it is none. Units count in 1024s, as Docker's do.
pub(crate) fn parse_bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * 1024f64.powi(power);
    // Beyond 2^63 the conversion would saturate silently.
    (bytes < 9.2e18).then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes() {
        let cases = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("64m", Some(67_108_864)),
            ("1.5 KiB", Some(1536)),
            ("2GB", Some(2_147_483_648)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("99999999p", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
