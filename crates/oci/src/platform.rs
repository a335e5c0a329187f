//! `linux/arm64/v8`: what an image runs on, and whether one platform can run another's images.
//!
//! Names are normalised as containerd does (`x86_64` is `amd64`, `aarch64` is `arm64`, arm64 is `v8`,
//! arm without variant is `v7`).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An operating system and a processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH: `amd64`, `arm64`, …
    #[serde(default)]
    pub architecture: String,
    /// GOOS: `linux`, `windows`, …
    #[serde(default)]
    pub os: String,
    /// The system's version (Windows only).
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Features the image needs of the system (Windows only).
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The processor's variant: `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// What this binary was built for, which is what runs here.
    pub fn host() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            ..Self::default()
        }
        .normalized()
    }

    /// The same platform by its usual names.
    pub fn normalized(mut self) -> Self {
        self.os = self.os.to_lowercase();
        self.variant = self.variant.to_lowercase();
        let (architecture, variant) = match (self.architecture.to_lowercase().as_str(), &*self.variant) {
            ("i386" | "i686" | "x86", _) => ("386".to_owned(), String::new()),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64".to_owned(), String::new()),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64".to_owned(), variant.to_owned()),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64".to_owned(), String::new()),
            ("aarch64" | "arm64", variant) => ("arm64".to_owned(), variant.to_owned()),
            ("armhf", _) => ("arm".to_owned(), "v7".to_owned()),
            ("armel", _) => ("arm".to_owned(), "v6".to_owned()),
            ("arm", "" | "7") => ("arm".to_owned(), "v7".to_owned()),
            ("arm", variant @ ("5" | "6" | "8")) => ("arm".to_owned(), format!("v{variant}")),
            ("powerpc64le", variant) => ("ppc64le".to_owned(), variant.to_owned()),
            (other, variant) => (other.to_owned(), variant.to_owned()),
        };
        self.architecture = architecture;
        self.variant = variant;
        self
    }

    /// Whether an image for `offered` runs where `self` is wanted: same system and processor, and
    /// not a newer variant of it.
    pub fn matches(&self, offered: &Self) -> bool {
        self.preference(offered).is_some()
    }

    /// How well an image for `offered` suits where `self` is wanted; smaller is better, `None` is
    /// not at all. An exact match is 0; an older variant of the same processor is farther away.
    pub fn preference(&self, offered: &Self) -> Option<u32> {
        let wanted = self.clone().normalized();
        let offered = offered.clone().normalized();
        if wanted.os != offered.os {
            return None;
        }
        if wanted.architecture != offered.architecture {
            // 64-bit processors that also run 32-bit programs: last resort, as in containerd.
            return match (&*wanted.architecture, &*offered.architecture) {
                ("amd64", "386") => Some(100),
                ("arm64", "arm") if variant_level(&offered) <= 8 => Some(108 - variant_level(&offered)),
                _ => None,
            };
        }
        variant_level(&wanted).checked_sub(variant_level(&offered))
    }
}

/// The number in `v7`; the processor's base level where nothing is said.
fn variant_level(platform: &Platform) -> u32 {
    let base = match &*platform.architecture {
        "arm64" => 8,
        "amd64" => 1,
        "arm" => 7,
        _ => 0,
    };
    let number = platform.variant.trim_start_matches('v').split('.').next().and_then(|n| n.parse().ok());
    number.unwrap_or(base)
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os`, `arch`, `os/arch` or `os/arch/variant`; what is not said is the host's.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Platform { text: text.to_owned() };
        let parts: Vec<&str> = text.split('/').collect();
        let valid = |part: &&str| {
            !part.is_empty()
                && part.len() <= 64
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(valid) {
            return Err(bad());
        }
        let host = Self::host();
        let platform = match parts[..] {
            [one] if is_known_system(one) => Self { os: one.to_owned(), ..host },
            [one] if is_known_architecture(one) => {
                Self { os: host.os, architecture: one.to_owned(), ..Self::default() }
            }
            [os, architecture] => {
                Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }
            }
            [os, architecture, variant] => Self {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: variant.to_owned(),
                ..Self::default()
            },
            _ => return Err(bad()),
        };
        Ok(platform.normalized())
    }
}

fn is_known_system(name: &str) -> bool {
    matches!(
        &*name.to_lowercase(),
        "linux" | "windows" | "darwin" | "freebsd" | "openbsd" | "netbsd" | "solaris"
    )
}

fn is_known_architecture(name: &str) -> bool {
    let platform = Platform { architecture: name.to_owned(), ..Platform::default() }.normalized();
    matches!(
        &*platform.architecture,
        "386"
            | "amd64"
            | "arm"
            | "arm64"
            | "ppc64"
            | "ppc64le"
            | "s390x"
            | "riscv64"
            | "mips64"
            | "mips64le"
            | "loong64"
    )
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_read_and_normalised() {
        let cases = [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AArch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
            ("linux/riscv64", "linux/riscv64"),
        ];
        for (text, expected) in cases {
            assert_eq!(platform(text).to_string(), expected, "{text}");
        }
        for text in ["", "/", "linux/", "linux/a/b/c", "lin ux/amd64", "bogus"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wanted_platform_takes_itself_and_what_its_processor_also_runs() {
        let cases = [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/amd64/v3", "linux/amd64/v2", Some(1)),
            ("linux/amd64", "linux/386", Some(100)),
            ("linux/386", "linux/amd64", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64", "linux/arm/v7", Some(101)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/amd64", "windows/amd64", None),
        ];
        for (wanted, offered, expected) in cases {
            assert_eq!(platform(wanted).preference(&platform(offered)), expected, "{wanted} {offered}");
        }
    }
}
