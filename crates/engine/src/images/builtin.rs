//! `barge/hello`: an image whose one file is this very program, made where no registry can be reached, to see that
//! containers work.

use std::fs::File;

use barge_oci::{ContainerDefaults, ImageConfig, Platform, Reference};
use barge_store::{Image, Import};
use jiff::Timestamp;

use super::{Images, blocking, refusal};
use crate::error::{Error, Result};

const NAME: &str = "docker.io/barge/hello:latest";
/// Size of a header and unit of padding, POSIX pax "ustar Interchange Format".
const BLOCK: usize = 512;

/// Whether a name means the built-in image.
pub(super) fn is_hello(name: &str) -> bool {
    Reference::parse_normalized(name).is_ok_and(|reference| reference.to_string() == NAME)
}

impl Images {
    /// Makes the image, or finds it if another request was faster.
    pub(super) async fn make_hello(&self) -> Result<Image> {
        let (store, exe) = (self.store.clone(), self.exe.clone());
        blocking("making barge/hello", move || {
            let reference = Reference::parse_normalized(NAME).map_err(refusal::invalid_reference)?;
            let file = File::open(&exe).map_err(Error::failed(exe.display()))?;
            let size = file.metadata().map_err(Error::failed(exe.display()))?.len();
            let import =
                Import { config: config(), comment: "Made by Barge".to_owned(), reference: Some(reference) };
            store.import(archive(file, size), import).map_err(refusal::store)
        })
        .await
    }
}

fn config() -> ImageConfig {
    let platform = Platform::host();
    let defaults = ContainerDefaults {
        entrypoint: Some(vec!["/barge".to_owned(), "hello".to_owned()]),
        env: vec!["PATH=/".to_owned()],
        working_dir: "/".to_owned(),
        ..ContainerDefaults::default()
    };
    ImageConfig {
        created: Some(Timestamp::now()),
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config: defaults,
        ..ImageConfig::default()
    }
}

/// A tar with the one file `barge`, without holding it in memory.
fn archive(file: File, size: u64) -> impl std::io::Read {
    use std::io::Read;
    let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    let end = padding + 2 * BLOCK as u64;
    std::io::Cursor::new(header("barge", size)).chain(file.take(size)).chain(std::io::repeat(0).take(end))
}

fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, name);
    field(100, "0000755\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{size:011o}\0"));
    field(136, "00000000000\0");
    // The checksum is computed with its own field full of spaces.
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_goes_by_its_short_and_long_names() {
        for name in ["barge/hello", "barge/hello:latest", "docker.io/barge/hello"] {
            assert!(is_hello(name), "{name}");
        }
        for name in ["hello", "barge/hello:1", "r.example/barge/hello", "library/barge/hello"] {
            assert!(!is_hello(name), "{name}");
        }
    }

    #[test]
    fn the_archive_is_whole_blocks() {
        for size in [0, 1, 512, 513] {
            let path = std::env::temp_dir().join(format!("barge-hello-{}-{size}", std::process::id()));
            std::fs::write(&path, vec![7; size]).unwrap();
            let mut bytes = Vec::new();
            let file = File::open(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            std::io::Read::read_to_end(&mut archive(file, size as u64), &mut bytes).unwrap();
            assert_eq!(bytes.len() % BLOCK, 0);
            assert_eq!(&bytes[..6], b"barge\0");
            assert_eq!(bytes[BLOCK..].iter().filter(|byte| **byte == 7).count(), size);
        }
    }
}
