//! What a source file must look like: a header, a bearable length, a name that says something.

use std::path::{Path, PathBuf};

use anyhow::Result;

const LONGEST: usize = 700;
const EMPTY_NAMES: &[&str] =
    &["mod", "utils", "util", "helpers", "helper", "common", "misc", "types", "manager", "handler", "core"];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for top in ["crates", "e2e", "fuzz", "xtask"] {
        for file in rust_files(&root.join(top))? {
            let text = std::fs::read_to_string(&file)?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            breaches.extend(of_file(&shown, &text));
        }
    }
    Ok(breaches)
}

fn of_file(shown: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(format!("{shown}: opens without a `//!` header"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        breaches.push(format!("{shown}: {lines} lines, the wall is {LONGEST}"));
    }
    let stem = Path::new(shown).file_stem().unwrap_or_default().to_string_lossy();
    if EMPTY_NAMES.contains(&stem.as_ref()) {
        breaches.push(format!("{shown}: the name says nothing"));
    }
    let (kernel_free, waits_for_nobody) = (
        ["crates/api/src", "crates/oci/src"].iter().any(|top| shown.starts_with(top)),
        ["crates/sys/src", "crates/runtime/src", "crates/network/src", "crates/store/src"]
            .iter()
            .any(|top| shown.starts_with(top)),
    );
    if kernel_free
        && ["std::fs", "std::net::Tcp", "std::process", "tokio::"].iter().any(|word| text.contains(word))
    {
        breaches.push(format!("{shown}: does I/O in a crate of words"));
    }
    if waits_for_nobody && text.contains("async fn") {
        breaches.push(format!("{shown}: async below the rims"));
    }
    breaches
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::of_file;

    #[test]
    fn a_plain_file_is_tidy_and_each_breach_is_named() {
        assert!(of_file("crates/oci/src/digest.rs", "//! Digests.\n").is_empty());
        assert_eq!(of_file("crates/oci/src/utils.rs", "fn x() { std::fs::read(\"y\"); }").len(), 3);
        assert_eq!(of_file("crates/sys/src/a.rs", &"//! x\n".repeat(701)).len(), 1);
        assert_eq!(of_file("crates/store/src/a.rs", "//! x\nasync fn y() {}").len(), 1);
    }
}
