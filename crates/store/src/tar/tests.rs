//! What is written reads back; what is not a tar is an error and never a panic.

use super::read::Entries;
use super::write::Writer;
use super::{Entry, Kind, Metadata, Time};
use crate::error::Result;
use proptest::prelude::*;
use std::io::Read;

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z/]{1,20}".prop_map(|name| format!("{}x", name.trim_start_matches('/')).into_bytes()),
        prop::collection::vec(1u8..=255, 1..300).prop_map(|mut name| {
            // A file's name with a slash at its end would be a directory's.
            name.push(b'x');
            name
        }),
    ]
}

fn entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let kind = prop_oneof![
        4 => Just(Kind::File),
        1 => Just(Kind::HardLink),
        1 => Just(Kind::Symlink),
        1 => Just(Kind::Char),
        1 => Just(Kind::Block),
        1 => Just(Kind::Directory),
        1 => Just(Kind::Fifo),
    ];
    let time = (any::<i32>(), 0u32..1_000_000_000);
    let xattrs =
        prop::collection::btree_map("[a-z.]{1,20}", prop::collection::vec(any::<u8>(), 0..100), 0..3);
    let owner = (0u32..u32::MAX, 0u32..u32::MAX);
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    (name(), kind, name(), 0u32..0o10000, owner, time, xattrs, (0u32..4096, 0u32..100_000), content).prop_map(
        |(name, kind, link, mode, (uid, gid), (seconds, nanoseconds), xattrs, device, content)| {
            let is_link = matches!(kind, Kind::HardLink | Kind::Symlink);
            let is_device = matches!(kind, Kind::Char | Kind::Block);
            let metadata = Metadata {
                mode,
                uid,
                gid,
                mtime: Time { seconds: seconds.into(), nanoseconds },
                xattrs: xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
            };
            let content = if kind == Kind::File { content } else { Vec::new() };
            let entry = Entry {
                name,
                kind,
                metadata,
                link: if is_link { link } else { Vec::new() },
                device: if is_device { device } else { (0, 0) },
                size: content.len() as u64,
                sparse: None,
            };
            (entry, content)
        },
    )
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    // A small buffer, so that headers and content come in pieces.
    let mut entries = Entries::new(std::io::BufReader::with_capacity(100, bytes));
    let mut all = Vec::new();
    while let Some(entry) = entries.next()? {
        let content = entries.content(1 << 20)?;
        all.push((entry, content));
    }
    entries.drain()?;
    Ok(all)
}

proptest! {
    #[test]
    fn what_is_written_reads_back(entries in prop::collection::vec(entry(), 0..6)) {
        let read = read_all(&write(&entries)).unwrap();
        prop_assert_eq!(read.len(), entries.len());
        for ((read, read_content), (entry, content)) in read.iter().zip(&entries) {
            prop_assert_eq!(format!("{read:?}"), format!("{entry:?}"));
            prop_assert_eq!(read_content, content);
        }
    }

    #[test]
    fn damage_is_an_error_or_another_archive_but_no_panic(
        entries in prop::collection::vec(entry(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        fix in any::<bool>(),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write(&entries);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if fix {
            // So that what lies behind the checksum is reached, too.
            for block in bytes.chunks_exact_mut(512) {
                let mut header = tar::Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let end = end.index(bytes.len());
        let _ = read_all(&bytes);
        let _ = read_all(&bytes[..end]);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read_all(&bytes);
        let mut content = Vec::new();
        if let Ok(mut plain) = crate::layers::codec::decoder(&bytes[..]) {
            let _ = plain.read_to_end(&mut content);
        }
    }
}
