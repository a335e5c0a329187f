//! The linker script that puts sections in front of the others.
//!
//! `INSERT` adds to the linker's own script instead of taking its place; both LLD and GNU ld know it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::mangled;
use super::map::{LinkMap, Section};

const HEADER: &str = "\
/* Which functions lie together in the binary: those that a container's life runs through, by their first call.
   Made by `cargo xtask layout`; the next one replaces this file. A name that no longer exists does no harm. */
";

/// Where names of the engine's functions are cut off, in bytes: what they say at their end are types within types. A few more
/// instances of its generic functions do less harm than a file of twice the size; of the runtime's they would.
const LONGEST_NAME: usize = 200;

/// An order of sections.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    code: Vec<String>,
    constants: Vec<String>,
    seen: BTreeSet<String>,
    size: u64,
}

impl Layout {
    /// The code of both lives, and the constants of the crates that the runtime uses: it is the one that lives for
    /// milliseconds, and the other one uses them all.
    pub(crate) fn new(map: &LinkMap, runtime: &[u64], engine: &[u64]) -> Self {
        let mut layout = Self::default();
        for section in runtime.iter().filter_map(|address| map.section(*address)) {
            layout.add_code(section, usize::MAX);
            layout.add_constants(section);
        }
        for section in engine.iter().filter_map(|address| map.section(*address)) {
            layout.add_code(section, LONGEST_NAME);
        }
        layout
    }

    /// How many functions are in order, or files of them where the files have not been divided.
    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    /// Bytes of code in order.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (name, before, patterns) in
            [(".rodata.hot", ".rodata", &self.constants), (".text.hot", ".text", &self.code)]
        {
            let _ = writeln!(text, "SECTIONS {{ {name} : {{");
            for pattern in patterns {
                let _ = writeln!(text, "{pattern}");
            }
            let _ = writeln!(text, "}} }} INSERT BEFORE {before};");
        }
        text
    }

    fn add_code(&mut self, section: &Section, longest: usize) {
        let name = mangled::pattern(&section.name);
        // A name of Rust says all; others need the file.
        let pattern = match name.contains("_R") {
            true => format!("*({}*)", name.get(..longest).unwrap_or(&name)),
            false => format!("{}({name})", object(&section.object)),
        };
        if self.seen.insert(pattern.clone()) {
            self.size += section.size;
            self.code.push(pattern);
        }
    }

    fn add_constants(&mut self, section: &Section) {
        let pattern = format!("{}(.rodata .rodata.*)", object(&section.object));
        if self.seen.insert(pattern.clone()) {
            self.constants.push(pattern);
        }
    }
}

/// A pattern for an object file, in which the hashes of a build are left open: `*libc.a:read.o`,
/// `*barge-*.CRATE-*.CRATE.*-cgu.0.rcgu.o.rcgu.o`.
fn object(name: &str) -> String {
    match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
        Some((archive, member)) => format!("*{}:{}", without_hashes(archive), without_hashes(member)),
        None => format!("*{}", without_hashes(name)),
    }
}

fn without_hashes(name: &str) -> String {
    let is_hash = |word: &str| word.len() == 16 && word.bytes().all(|letter| letter.is_ascii_hexdigit());
    let words = name.split_inclusive(['-', '.']);
    words
        .map(|word| {
            let (text, end) = word.split_at(word.trim_end_matches(['-', '.']).len());
            if is_hash(text) { format!("*{end}") } else { word.to_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn objects_are_known_again_in_another_build() {
        assert_eq!(object("libc.a(read.o)"), "*libc.a:read.o");
        assert_eq!(
            object("libzstd_sys-8d61f67b80a66dc2.rlib(4f97f2375d6aa471-common.o)"),
            "*libzstd_sys-*.rlib:*-common.o"
        );
        assert_eq!(
            object("barge-31723c4510cd888a.caps-bdae2714390c0e6d.caps.d409385e927c5c97-cgu.1.rcgu.o.rcgu.o"),
            "*barge-*.caps-*.caps.*-cgu.1.rcgu.o.rcgu.o"
        );
    }
}
