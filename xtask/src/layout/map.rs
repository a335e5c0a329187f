//! The linker's map: which part of which object file lies where.
//!
//! LLD writes one line each for an output section, an input section and a symbol, told apart by how far in its last
//! column begins:
//!
//! ```text
//!              VMA              LMA     Size Align Out     In      Symbol
//!           7c2680           7c2680   a7bd0    64 .text
//!           7c2680           7c2680       21    16         /…/barge-HASH.barge.HASH-cgu.0.rcgu.o:(.text.main)
//!           7c2680           7c2680       21     1                 main
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Where the columns of numbers end.
const COLUMNS: usize = 49;

/// A section of an object file, as it was laid out.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// In bytes.
    pub(crate) size: u64,
    /// The file name of the object, or that of its archive and, in parentheses, its own.
    pub(crate) object: String,
    pub(crate) name: String,
    /// Where functions begin in it.
    pub(crate) functions: Vec<u64>,
}

/// The program's code by address.
#[derive(Debug)]
pub(crate) struct LinkMap {
    sections: BTreeMap<u64, Section>,
}

impl LinkMap {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let map = Self::parse(&text);
        ensure!(!map.sections.is_empty(), "{} is no map as LLD writes it", file.display());
        Ok(map)
    }

    fn parse(text: &str) -> Self {
        let mut sections = BTreeMap::<u64, Section>::new();
        let mut last = None;
        for line in text.lines() {
            let Some((address, size, what)) = columns(line) else { continue };
            match what.len() - what.trim_start().len() {
                8 => {
                    let section = input_section(what.trim_start(), size);
                    last = section.map(|section| sections.insert(address, section)).map(|_| address);
                }
                16 if size > 0 => {
                    let section = last.and_then(|address| sections.get_mut(&address));
                    section.into_iter().for_each(|section| section.functions.push(address));
                }
                _ => {}
            }
        }
        Self { sections }
    }

    /// Where functions begin.
    pub(crate) fn functions(&self) -> impl Iterator<Item = u64> {
        self.sections.values().flat_map(|section| section.functions.iter().copied())
    }

    /// The section that an address lies in.
    pub(crate) fn section(&self, address: u64) -> Option<&Section> {
        let (start, section) = self.sections.range(..=address).next_back()?;
        (address < start + section.size).then_some(section)
    }

    /// From the first byte of code to behind the last.
    pub(crate) fn code(&self) -> std::ops::Range<u64> {
        let start = self.sections.keys().next().copied().unwrap_or_default();
        let end = self.sections.iter().map(|(start, section)| start + section.size).max().unwrap_or_default();
        start..end
    }
}

/// Address, size, and what there is, indented.
fn columns(line: &str) -> Option<(u64, u64, &str)> {
    let (numbers, what) = line.split_at_checked(COLUMNS)?;
    let mut numbers = numbers.split_whitespace();
    let address = u64::from_str_radix(numbers.next()?, 16).ok()?;
    let size = u64::from_str_radix(numbers.nth(1)?, 16).ok()?;
    Some((address, size, what))
}

/// `PATH:(NAME)` or `PATH(MEMBER):(NAME)`, if it is code.
fn input_section(text: &str, size: u64) -> Option<Section> {
    let (path, name) = text.strip_suffix(')')?.split_once(":(")?;
    if size == 0 || !name.starts_with(".text") {
        return None;
    }
    let object = path.rsplit('/').next()?.to_owned();
    Some(Section { size, object, name: name.to_owned(), functions: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
             VMA              LMA     Size Align Out     In      Symbol
          200270           200270       20     4 .note.ABI-tag
          200270           200270       20     4         /usr/lib/crt1.o:(.note.ABI-tag)
          201000           201000      100    64 .text
          201000           201000       21    16         /target/barge-1.barge.2-cgu.0.rcgu.o:(.text.main)
          201000           201000       21     1                 main
          201030           201030       40    16         /usr/lib/libc.a(read.o):(.text)
          201030           201030       10     1                 read
          201030           201030       10     1                 __read
          201040           201040        0     1                 a_label
          201050           201050       20     1                 __read_nocancel
          201100           201100        8     1 .data
          201100           201100        8     1         /usr/lib/libc.a(read.o):(.data)
          201100           201100        8     1                 datum
";

    #[test]
    fn sections_of_code_are_found_by_what_lies_in_them() {
        let map = LinkMap::parse(MAP);
        assert_eq!(map.code(), 0x201000..0x201070);
        assert_eq!(map.functions().collect::<Vec<_>>(), [0x201000, 0x201030, 0x201030, 0x201050]);
        let section = map.section(0x201051).expect("it lies in read.o");
        assert_eq!((section.object.as_str(), section.name.as_str()), ("libc.a(read.o)", ".text"));
        assert!(map.section(0x201025).is_none(), "a gap belongs to nobody");
        assert!(map.section(0x201100).is_none(), "data is no code");
    }
}
