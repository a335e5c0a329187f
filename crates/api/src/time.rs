//! Points in time as `since` and `until` name them: Unix seconds with a fraction, dates and times, or a duration
//! before now.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::error::Error;

/// Go's zero time, which stands for never.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Reads `1136073600.000000001`, `2006-01-02T15:04:05.9Z`, `2006-01-02T15:04` or `2006-01-02` in `zone`,
/// or a duration such as `10m` before `now`.
///
/// # Errors
/// [`Error::Timestamp`] for any other text.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Error> {
    let refuse = || Error::Timestamp { text: text.to_owned() };
    // A bare `0` is the moment 0, as in Docker: clients send it for "from the beginning".
    if text != "0"
        && let Some(duration) = parse_duration(text)
    {
        return now.checked_sub(duration).map_err(|_| refuse());
    }
    if let Some(moment) = parse_unix(text) {
        return Ok(moment);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    // Without an offset the time is the caller's wall clock; a bare `Z` after minutes is not RFC 3339 but accepted.
    let (civil, zone) = match text.strip_suffix('Z') {
        Some(civil) => (civil, &TimeZone::UTC),
        None => (text, zone),
    };
    let moment = civil.parse::<DateTime>().or_else(|_| civil.parse::<Date>().map(DateTime::from));
    let zoned = moment.and_then(|moment| moment.to_zoned(zone.clone()));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| refuse())
}

/// `SECONDS[.FRACTION]` since 1970, the fraction read to nanoseconds.
fn parse_unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

/// A duration as Go writes it: a sign, then numbers with the units `ns us ms s m h`, or a bare `0`.
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0f64;
    let mut whole: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let integer: i128 = if integer.is_empty() { 0 } else { integer.parse().ok()? };
        whole = whole.checked_add(integer.checked_mul(scale)?)?;
        if !fraction.is_empty() {
            total += format!("0.{fraction}").parse::<f64>().ok()? * scale as f64;
        }
        rest = tail;
    }
    let nanoseconds = i64::try_from(whole + total.round() as i128).ok()?;
    Some(SignedDuration::from_nanos(if negative { -nanoseconds } else { nanoseconds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let cases = [
            ("0", Some("1970-01-01T00:00:00Z")),
            ("1136073600", Some("2006-01-01T00:00:00Z")),
            ("1136073600.000000001", Some("2006-01-01T00:00:00.000000001Z")),
            ("1136073600.5", Some("2006-01-01T00:00:00.5Z")),
            ("2006-01-02T15:04:05.9Z", Some("2006-01-02T15:04:05.9Z")),
            ("2006-01-02T15:04:05+01:00", Some("2006-01-02T14:04:05Z")),
            ("2006-01-02T15:04:05", Some("2006-01-02T15:04:05Z")),
            ("2006-01-02T15:04Z", Some("2006-01-02T15:04:00Z")),
            ("2006-01-02T15:04", Some("2006-01-02T15:04:00Z")),
            ("2006-01-02", Some("2006-01-02T00:00:00Z")),
            ("1h30m", Some("2025-12-31T22:30:00Z")),
            ("", None),
            ("yesterday", None),
            ("1136073600.0000000001", None),
        ];
        for (text, expected) in cases {
            let found = parse(text, now, &TimeZone::UTC).ok().map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("0", Some(0)),
            ("10s", Some(10_000_000_000)),
            ("1m0.5s", Some(60_500_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("-300ms", Some(-300_000_000)),
            (".5us", Some(500)),
            ("10", None),
            ("s", None),
            (".s", None),
            ("1d", None),
            ("", None),
            ("-", None),
            ("99999999999h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), expected.map(SignedDuration::from_nanos), "{text}");
        }
    }
}
