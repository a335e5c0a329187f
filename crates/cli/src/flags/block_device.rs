//! `--blkio-weight-device /dev/sda:200`, `--device-read-bps /dev/sda:1mb`, `--device-read-iops /dev/sda:100`.

use barge_api::containers::{ThrottleDevice, WeightDevice};

use super::size::parse_bytes;
use super::value::Value;

/// Weights of devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weights(pub(crate) Vec<WeightDevice>);

/// Limits in bytes a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ByteRates(pub(crate) Vec<ThrottleDevice>);

/// Limits in operations a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OperationRates(pub(crate) Vec<ThrottleDevice>);

impl Value for Weights {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (path, value) = split(text)?;
        let weight = value.parse().map_err(|_| format!("invalid weight for device: {text}"))?;
        if weight != 0 && !(10..=1000).contains(&weight) {
            return Err(format!("invalid weight for device: {text}"));
        }
        self.0.push(WeightDevice { path, weight });
        Ok(())
    }
}

impl Value for ByteRates {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (path, value) = split(text)?;
        let rate = parse_bytes(value).ok().and_then(|rate| u64::try_from(rate).ok());
        let reason = "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. \
                      Unit is optional and can be kb, mb, or gb";
        let rate = rate.ok_or_else(|| format!("invalid rate for device: {text}. {reason}"))?;
        self.0.push(ThrottleDevice { path, rate });
        Ok(())
    }
}

impl Value for OperationRates {
    const KIND: &'static str = "list";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (path, value) = split(text)?;
        let reason = "The correct format is <device-path>:<number>. Number must be a positive integer";
        let rate = value.parse().map_err(|_| format!("invalid rate for device: {text}. {reason}"))?;
        self.0.push(ThrottleDevice { path, rate });
        Ok(())
    }
}

fn split(text: &str) -> Result<(String, &str), String> {
    let (path, value) = text.split_once(':').ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_weights() {
        let mut weights = Weights::default();
        weights.set("/dev/sda:200").unwrap();
        assert_eq!(weights.0[0].weight, 200);
        let mut bytes = ByteRates::default();
        bytes.set("/dev/sda:1mb").unwrap();
        assert_eq!(bytes.0[0].rate, 1 << 20);
        let mut operations = OperationRates::default();
        operations.set("/dev/sda:100").unwrap();
        assert_eq!(operations.0[0].rate, 100);
        for text in ["/dev/sda", "sda:100", "/dev/sda:5", "/dev/sda:x"] {
            assert!(weights.set(text).is_err(), "{text}");
        }
        assert!(operations.set("/dev/sda:1mb").is_err());
    }
}
