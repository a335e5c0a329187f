//! What a volume may be called, and names for those that nobody named.

use crate::error::{Error, Result};

/// Refuses what the name of a directory under our root must not be.
pub(super) fn validate(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    if first && letters.all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

/// 64 random hex digits.
pub(super) fn random() -> Result<String> {
    let bytes: [u8; 32] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_err(|_| Error::system("the system has no random numbers"))?
        .expose();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["ab", "a1", "0x", "my_vol.1-2", &"a".repeat(64)] {
            assert!(validate(name).is_ok(), "{name}");
        }
        for name in ["", "a", "/x", "..", ".hidden", "a/b", "a b", "ü1", "a\0"] {
            assert!(validate(name).is_err(), "{name}");
        }
        let random = random().unwrap();
        assert!(random.len() == 64 && validate(&random).is_ok());
    }
}
