//! `sha256:…`, the name of a blob, and the hasher that makes one.
//!
//! Only sha256 is accepted: it is what every registry and tool in the field writes. A digest is
//! kept as 32 bytes, so that it is `Copy`, cheap to compare, and can never hold a path separator.

use crate::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of some content, written `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `content`.
    pub fn sha256_of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(content);
        hasher.finish()
    }

    /// The algorithm's name, always `sha256`.
    pub fn algorithm(&self) -> &'static str {
        "sha256"
    }

    /// The 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        text
    }

    /// The digest whose hexadecimal digits are `hex` (without `sha256:`).
    ///
    /// # Errors
    /// Fails unless there are exactly 64 lower-case hexadecimal digits.
    pub fn from_hex(hex: &str) -> Result<Self, Error> {
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return Err(Error::DigestLength);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, Error> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(Error::DigestFormat),
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (algorithm, hex) = text.split_once(':').ok_or(Error::DigestFormat)?;
        match algorithm {
            "sha256" => Self::from_hex(hex),
            "" => Err(Error::DigestFormat),
            _ => Err(Error::DigestAlgorithm),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone)]
pub struct Hasher(ring::digest::Context);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }

    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        let output = self.0.finish();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(output.as_ref());
        Digest(bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(sha256)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashing_in_pieces_gives_the_digest_of_the_whole() {
        assert_eq!(Digest::sha256_of(b"").to_string(), EMPTY);
        let mut hasher = Hasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Digest::sha256_of(b"abc"));
    }

    #[test]
    fn what_is_not_a_sha256_digest_is_refused() {
        let cases = [
            ("", Error::DigestFormat),
            ("e3b0", Error::DigestFormat),
            (":e3b0", Error::DigestFormat),
            ("sha256:e3b0", Error::DigestLength),
            ("sha512:e3b0", Error::DigestAlgorithm),
            (&EMPTY.to_uppercase(), Error::DigestAlgorithm),
            (&EMPTY.replace('e', "E"), Error::DigestFormat),
            (&EMPTY.replace('e', "/"), Error::DigestFormat),
            (&format!("{EMPTY}0"), Error::DigestLength),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }

    #[test]
    fn json_keeps_the_text() {
        let digest: Digest = serde_json::from_str(&format!("\"{EMPTY}\"")).unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{EMPTY}\""));
        assert_eq!(digest.to_string(), EMPTY);
    }
}
