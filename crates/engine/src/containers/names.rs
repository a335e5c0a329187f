//! Container names and IDs: what is allowed, and random ones.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

const MANNERS: [&str; 64] = [
    "able", "amber", "ample", "aware", "blithe", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "civil", "clever", "cosy", "crisp", "daring", "deft", "eager", "early", "earnest",
    "fair", "festive", "fond", "frank", "gentle", "glad", "golden", "handy", "hardy", "hearty", "humble",
    "jolly", "jovial", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "neat",
    "nimble", "patient", "placid", "polite", "prompt", "proud", "quick", "quiet", "ready", "serene", "sharp",
    "silent", "sober", "spry", "steady", "sturdy", "sunny", "tidy", "vivid", "witty",
];

/// Builders, navigators and harbour people, and those who made computers what they are.
const SURNAMES: [&str; 64] = [
    "allen",
    "anning",
    "archimedes",
    "baret",
    "barton",
    "beaufort",
    "bishop",
    "blackwell",
    "bowditch",
    "brunel",
    "carson",
    "cartwright",
    "chaplin",
    "cochran",
    "cook",
    "coston",
    "curie",
    "dampier",
    "darwin",
    "dijkstra",
    "earhart",
    "easley",
    "eratosthenes",
    "euler",
    "faraday",
    "fitzroy",
    "franklin",
    "fulton",
    "galileo",
    "goldberg",
    "hamilton",
    "harrison",
    "hawkins",
    "henson",
    "hopper",
    "hypatia",
    "johnson",
    "kepler",
    "knuth",
    "kowalevski",
    "lamarr",
    "leavitt",
    "liskov",
    "lovelace",
    "maury",
    "maxwell",
    "meitner",
    "mercator",
    "mitchell",
    "nansen",
    "newton",
    "noether",
    "plimsoll",
    "ritchie",
    "scott",
    "shannon",
    "slocum",
    "somerville",
    "stevin",
    "tereshkova",
    "torvalds",
    "turing",
    "vaughan",
    "watt",
];

/// `adjective_surname`, with a digit behind it once that has been tried.
pub(crate) fn random(attempt: u32) -> String {
    let [manner, surname, digit, _] = random_bytes();
    let pick = |list: &[&'static str; 64], byte: u8| list[usize::from(byte) % list.len()];
    let name = format!("{}_{}", pick(&MANNERS, manner), pick(&SURNAMES, surname));
    if attempt == 0 { name } else { format!("{name}{}", digit % 10) }
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel's generator does not fail once it has been seeded at boot.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}

/// A new ID: 64 hex digits, the first twelve of which are no number, since a hostname must not be one.
pub(crate) fn new_id() -> String {
    loop {
        let id: String = random_bytes::<32>().iter().map(|byte| format!("{byte:02x}")).collect();
        if !id[..12].bytes().all(|digit| digit.is_ascii_digit()) {
            return id;
        }
    }
}

/// Checks a name and takes its leading slash away.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn check(name: &str) -> Result<&str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = bare.len() > 1 && bare.as_bytes()[0].is_ascii_alphanumeric() && bare.bytes().all(allowed);
    if good {
        return Ok(bare);
    }
    Err(Error::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_names() {
        for (name, expected) in [("web", Some("web")), ("/web", Some("web")), ("a1_.-", Some("a1_.-"))] {
            assert_eq!(check(name).ok(), expected, "{name}");
        }
        for name in ["", "/", "a", "-web", "we/b", "wéb", "a b", "//web"] {
            let text = format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
            assert_eq!(check(name).unwrap_err().message(), text);
        }
    }

    #[test]
    fn random_names_and_ids_are_good_ones() {
        assert!(check(&random(0)).is_ok() && check(&random(1)).is_ok());
        let id = new_id();
        assert!(id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) && id != new_id());
    }
}
