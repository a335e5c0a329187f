//! Sizes and times for people, in Docker's words.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::{Failure, Result};

/// A duration in seconds, roughly: `About an hour`, `3 weeks`.
pub(crate) fn human_duration(seconds: i64) -> String {
    let hours = (seconds as f64 / 3600.0 + 0.5) as i64;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{} minutes", seconds / 60),
        _ => match hours {
            ..=1 => "About an hour".to_owned(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1440 => format!("{} weeks", hours / 24 / 7),
            1440..17520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", seconds / 3600 / 24 / 365),
        },
    }
}

/// How long ago a Unix time was.
pub(crate) fn ago(unix: i64) -> String {
    format!("{} ago", human_duration(Timestamp::now().as_second() - unix))
}

/// A Unix time as Go prints it: `2026-01-02 15:04:05 +0100 CET`.
pub(crate) fn go_time(unix: i64) -> String {
    let Ok(moment) = Timestamp::from_second(unix) else { return String::new() };
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// Bytes in decimal units with four digits: `1.235MB`.
pub(crate) fn human_size(bytes: i64) -> String {
    human_size_with(bytes, 4)
}

/// Bytes in decimal units with that many significant digits.
pub(crate) fn human_size_with(bytes: i64, digits: usize) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], digits)
}

/// Bytes in binary units: `1.5GiB`.
pub(crate) fn binary_size(bytes: i64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(bytes: i64, base: f64, units: &[&str], digits: usize) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", significant(size, digits), units[unit])
}

/// Go's `%.Ng` for numbers of everyday size.
fn significant(value: f64, digits: usize) -> String {
    let whole = (value.abs().max(1.0).log10().floor() as usize) + 1;
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A `--since` or `--until`, made absolute in Unix seconds with nanoseconds; empty stays empty.
pub(crate) fn moment(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let found = barge_api::time::parse(text, Timestamp::now(), &TimeZone::system());
    let found =
        found.map_err(|_| Failure::new(format!("invalid value for time: failed to parse {text:?}")))?;
    Ok(format!("{}.{:09}", found.as_second(), found.subsec_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (3 * 365 * 86400, "3 years"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (4_261_550, "4.262MB"),
            (206_000_000, "206MB"),
            (1_500_000_000, "1.5GB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human_size(bytes), expected);
        }
        assert_eq!(human_size_with(4_261_550, 3), "4.26MB");
        assert_eq!(binary_size(1_610_612_736), "1.5GiB");
    }
}
