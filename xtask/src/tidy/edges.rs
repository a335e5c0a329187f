//! Which crate may use which: the floors of the house (ARCHITECTURE.md, invariant 8).

use std::path::Path;

use anyhow::{Context, Result};

/// Crate, and the sibling crates that it may use outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("oci", &[]),
    ("api", &[]),
    ("store", &["oci", "sys"]),
    ("network", &["sys"]),
    ("runtime", &["oci", "sys"]),
    ("client", &["api"]),
    ("shim", &["runtime", "sys", "oci"]),
    ("registry", &["store", "oci"]),
    ("engine", &["store", "network", "shim", "registry", "api", "oci"]),
    ("cli", &["client", "api"]),
    ("daemon", &["engine", "api"]),
    ("barge", &["cli", "daemon", "shim", "runtime"]),
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for entry in std::fs::read_dir(root.join("crates")).context("list crates")? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml"))?;
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            breaches.push(format!("crates/{name}: not in the table of floors"));
            continue;
        };
        for used in dependencies(&manifest) {
            if !allowed.contains(&used.as_str()) {
                breaches.push(format!("crates/{name}: may not use {used}"));
            }
        }
        if name != "sys" && !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!("crates/{name}: does not take the workspace's lints"));
        }
    }
    Ok(breaches)
}

/// The sibling crates named in `[dependencies]`, without their `barge-`.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some(rest) = line.strip_prefix("barge-") {
            found.push(rest.chars().take_while(char::is_ascii_alphanumeric).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn only_the_dependencies_section_counts() {
        let manifest = "[dependencies]\nbarge-sys.workspace = true\nserde = \"1\"\n[dev-dependencies]\nbarge-api.workspace = true\n";
        assert_eq!(dependencies(manifest), ["sys"]);
    }
}
