//! Go's durations: `1m30s`, `500ms`, `1.5h`.

/// Nanoseconds; `None` for what is no duration, is negative or does not fit.
pub(super) fn parse(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        total += number * unit(&after[..letters])?;
        rest = &after[letters..];
    }
    #[expect(clippy::cast_precision_loss, reason = "a bound")]
    let fits = !text.is_empty() && total < i64::MAX as f64;
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    fits.then_some(total as i64)
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read() {
        let table = [
            ("1m30s", Some(90_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("0", Some(0)),
            ("5", None),
            ("", None),
            ("-1s", None),
            ("1d", None),
            ("9999999h", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
