//! `busybox`, `quay.io/org/app:1.2`, `app@sha256:…`: the names people give to images.
//!
//! ```text
//! reference = domain "/" path [":" tag] ["@" digest]
//! busybox           = docker.io/library/busybox:latest
//! org/app:1         = docker.io/org/app:1
//! localhost/app     = localhost/app:latest         a first part with . or : or "localhost" is a domain
//! ```
//!
//! The grammar and the rules of the short form are those of `distribution/reference`; so are the
//! texts of the errors.

use crate::{Digest, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// The longest path of a repository.
const MAX_PATH: usize = 255;
/// No reference is longer: domain, path, tag and digest at their longest.
const MAX_TEXT: usize = 1024;

/// The full name of an image: always with a domain, with a tag, a digest, both or neither.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a name as a user types it; without tag and digest it means `:latest`.
    ///
    /// # Errors
    /// With Docker's words if the name breaks the grammar.
    pub fn parse_normalized(text: &str) -> Result<Self, Error> {
        let mut reference = Self::parse_named(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some(DEFAULT_TAG.to_owned());
        }
        Ok(reference)
    }

    /// Reads a name as a user types it and adds no tag: `busybox` is `docker.io/library/busybox`.
    ///
    /// # Errors
    /// With Docker's words if the name breaks the grammar.
    pub fn parse_named(text: &str) -> Result<Self, Error> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Error::ReferenceIsId { name: text.to_owned() });
        }
        if text.len() > MAX_TEXT {
            return Err(Error::ReferenceFormat);
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.chars().any(char::is_uppercase) {
            return Err(Error::ReferenceUppercase { path: remote.to_owned() });
        }
        let (rest, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (&*remainder, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_domain(&domain) || !path.split('/').all(is_path_component) || !tag.is_none_or(is_tag) {
            return Err(Error::ReferenceFormat);
        }
        if path.len() > MAX_PATH {
            return Err(Error::ReferenceTooLong);
        }
        Ok(Self { path: path.to_owned(), tag: tag.map(str::to_owned), digest, domain })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within its registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The shortest name of the repository, as Docker shows it: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match (self.path.strip_prefix(OFFICIAL), self.path.split_once('/')) {
            // `library/a/b` must stay: `a/b` would mean something else.
            (Some(rest), _) if !rest.contains('/') => rest.to_owned(),
            // So must `docker.io/localhost/a`: without the domain, `localhost` would be one.
            (_, Some((first, _))) if first == "localhost" || looks_like_domain(first) => self.name(),
            _ => self.path.clone(),
        }
    }

    /// The shortest form with tag and digest, as Docker shows it: `busybox:latest`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// The repository alone, without tag and digest.
    pub fn repository(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// This repository with that tag and no digest.
    ///
    /// # Errors
    /// Fails if `tag` is no valid tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        if !is_tag(tag) {
            return Err(Error::ReferenceFormat);
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// This repository with that digest and no tag.
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(*digest), ..self.clone() }
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

/// Splits off the registry by the rules of the short form.
fn split_domain(text: &str) -> (String, String) {
    let (domain, path) = match text.split_once('/') {
        None => (DEFAULT_DOMAIN, text),
        Some((LEGACY_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((first, path)) if first == "localhost" || looks_like_domain(first) => (first, path),
        Some(_) => (DEFAULT_DOMAIN, text),
    };
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        return (domain.to_owned(), format!("{OFFICIAL}{path}"));
    }
    (domain.to_owned(), path.to_owned())
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

fn is_domain(domain: &str) -> bool {
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let valid_address =
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return valid_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    host.split('.').all(is_domain_component) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Runs of letters and digits joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if !ends.iter().all(|end| end.is_some_and(alphanumeric)) {
        return false;
    }
    bytes.split(alphanumeric).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.as_bytes().first().is_some_and(|b| word(*b))
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// A digest that is not even of the right shape makes the whole reference one of the wrong format.
fn parse_digest(text: &str) -> Result<Digest, Error> {
    let (algorithm, hex) = text.split_once(':').ok_or(Error::ReferenceFormat)?;
    let algorithm_valid = algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if !algorithm_valid || hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::ReferenceFormat);
    }
    text.parse()
}

impl FromStr for Reference {
    type Err = Error;

    /// As [`Reference::parse_named`]: adds no tag.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse_named(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_forms_mean_what_docker_means() {
        let digested = format!("docker.io/library/a@sha256:{HEX}");
        let cases = [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("busybox:1.37", "docker.io/library/busybox:1.37", "busybox:1.37"),
            ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("org/app", "docker.io/org/app:latest", "org/app:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest", "127.0.0.1:5000/app:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            ("a__b---c.d_e", "docker.io/library/a__b---c.d_e:latest", "a__b---c.d_e:latest"),
            (&digested["docker.io/library/".len()..], &digested, &digested["docker.io/library/".len()..]),
        ];
        for (text, canonical, familiar) in cases {
            let reference = Reference::parse_normalized(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), canonical);
            assert_eq!(reference.familiar(), familiar);
        }
    }

    #[test]
    fn invalid_names_get_dockers_words() {
        let long = format!("{}/b", "a".repeat(260));
        let cases = [
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:b:c", "invalid reference format"),
            ("a:-b", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("/a", "invalid reference format"),
            ("a/", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a@sha256:12", "invalid reference format"),
            ("http://host/a", "invalid reference format"),
            ("../../etc", "invalid reference format"),
            ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
            ("docker.io/a/B:T", "invalid reference format: repository name (a/B) must be lowercase"),
            (HEX, &format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings")),
            (&long, "repository name must not be more than 255 characters"),
            (&format!("a@sha512:{HEX}"), "unsupported digest algorithm"),
        ];
        for (text, message) in cases {
            let error = Reference::parse_normalized(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
        }
        assert!(Reference::parse_normalized(&format!("a:{}", "t".repeat(128))).is_ok());
        assert!(Reference::parse_normalized(&format!("a:{}", "t".repeat(129))).is_err());
    }

    #[test]
    fn tag_and_digest_replace_each_other() {
        let digest = Digest::sha256_of(b"");
        let reference = Reference::parse_normalized("a:1").unwrap();
        assert_eq!(reference.with_digest(&digest).familiar(), format!("a@{digest}"));
        assert_eq!(reference.with_digest(&digest).with_tag("2").unwrap().familiar(), "a:2");
        assert!(reference.with_tag("/").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = Reference::parse_normalized(&text);
        }

        #[test]
        fn what_is_accepted_reads_back_the_same(text in "[a-zA-Z0-9._:/@\\-\\[\\]]{1,40}") {
            if let Ok(reference) = Reference::parse_named(&text) {
                prop_assert_eq!(&Reference::parse_named(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse_named(&reference.familiar()).unwrap(), &reference);
            }
        }

        #[test]
        fn valid_parts_make_a_valid_reference(
            domain in "[a-z0-9]{1,8}\\.[a-z0-9]{1,8}(:[0-9]{1,5})?",
            path in "[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?(/[a-z0-9]{1,8}(__|-{1,3})[a-z0-9]{1,3}){0,3}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        ) {
            let text = format!("{domain}/{path}:{tag}");
            prop_assume!(domain != "index.docker.io" && domain != "docker.io");
            let reference = Reference::parse_normalized(&text).unwrap();
            prop_assert_eq!(reference.to_string(), text);
            prop_assert_eq!(reference.tag(), Some(&*tag));
        }
    }
}
