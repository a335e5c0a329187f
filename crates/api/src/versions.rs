//! API versions: `MAJOR.MINOR`, ordered by number (1.9 is below 1.24).

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The oldest version answered.
pub const MIN: ApiVersion = ApiVersion::new(1, 24);

/// The newest version answered.
pub const MAX: ApiVersion = ApiVersion::new(1, 52);

/// A version of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this version is `1.minor` or later.
    pub const fn at_least(self, minor: u16) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }
}

impl Default for ApiVersion {
    /// The newest: what a request without a version prefix speaks.
    fn default() -> Self {
        MAX
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = Error;

    /// Reads `1.52`; no sign, no `v`, no third part.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::ApiVersion { text: text.to_owned() };
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().map_err(|_| refuse()) } else { Err(refuse()) }
        };
        let (major, minor) = text.split_once('.').ok_or_else(refuse)?;
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let parse = |text: &str| text.parse::<ApiVersion>().unwrap();
        assert!(parse("1.9") < parse("1.24"));
        assert!(parse("2.0") > parse("1.52"));
        assert!(parse("1.44").at_least(44) && !parse("1.43").at_least(44) && parse("2.0").at_least(44));
        assert_eq!(parse("1.50").to_string(), "1.50");
    }

    #[test]
    fn malformed_versions_are_refused() {
        for text in ["", "1", "1.", ".1", "v1.40", "1.40.1", "1.-4", "1.+4", "1.99999"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
