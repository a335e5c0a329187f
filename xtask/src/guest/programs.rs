//! Programs of this host for the guest, with the libraries that they need.
//!
//! ```text
//! bin/criu                               the program
//! lib/x86_64-linux-gnu/libnl-3.so.200    where the dynamic linker says that it is here
//! ```

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::archive::Archive;

/// Adds the program at `source` as `name`. `package` is who has it.
pub(super) fn add(archive: &mut Archive, name: &str, source: &Path, package: &str) -> Result<()> {
    ensure!(
        source.exists(),
        "{} is missing: install {package} (scripts/install-packages test)",
        source.display()
    );
    archive.copy(name, source)?;
    let output = Command::new("ldd").arg(source).output().context("start ldd")?;
    ensure!(output.status.success(), "ldd {} ended with {}", source.display(), output.status);
    for library in libraries(&String::from_utf8_lossy(&output.stdout)) {
        archive.parents(library);
        archive.copy(library.trim_start_matches('/'), Path::new(library))?;
    }
    Ok(())
}

/// The files that ldd(1) lists: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the linker itself.
fn libraries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_the_paths_that_ldd_lists() {
        let text =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n";
        assert_eq!(libraries(text).collect::<Vec<_>>(), ["/lib/libc.so.6", "/lib64/ld.so.2"]);
    }
}
