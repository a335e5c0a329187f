//! The compressions of layers, told apart by their first bytes.
//!
//! The media type only says whether a blob is a layer at all: Docker, too, goes by the content, and there are
//! registries full of layers whose type is wrong about the compression.

use crate::error::{Error, Result};
use barge_oci::manifest::media_type;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// How much compressed content is read at once.
const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Begins a frame that decoders skip; some writers put one first. The low half byte is free.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Refuses what is not a layer that can be applied.
pub(crate) fn check_media_type(media_type: &str) -> Result<()> {
    match media_type {
        ""
        | media_type::OCI_LAYER
        | media_type::OCI_LAYER_GZIP
        | media_type::OCI_LAYER_ZSTD
        | media_type::DOCKER_LAYER
        | media_type::DOCKER_LAYER_GZIP
        | media_type::DOCKER_LAYER_ZSTD
        | media_type::DOCKER_LAYER_FOREIGN
        | "application/vnd.oci.image.layer.nondistributable.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd" => Ok(()),
        other => Err(Error::LayerMediaType { media_type: other.to_owned() }),
    }
}

/// The plain content of `compressed`.
pub(crate) fn decoder<'a>(compressed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let (start, compressed) = peek(compressed)?;
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(start.clone()).chain(compressed));
    Ok(match compression(&start) {
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        Compression::Plain => Box::new(whole),
    })
}

/// A compression that layers come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// How content that begins with these four bytes is compressed.
pub(crate) fn compression(start: &[u8]) -> Compression {
    let skippable = start.len() == 4 && start[0] & 0xf0 == 0x50 && start[1..] == ZSTD_SKIPPABLE;
    if start.starts_with(&GZIP) {
        Compression::Gzip
    } else if start.starts_with(&ZSTD) || skippable {
        Compression::Zstd
    } else {
        Compression::Plain
    }
}

fn peek<R: Read>(mut source: R) -> io::Result<(Vec<u8>, R)> {
    let mut start = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut start)?;
    Ok((start, source))
}

/// Fills `chunk` as far as the source has content.
pub(crate) fn fill(source: &mut impl Read, chunk: &mut Vec<u8>, capacity: usize) -> io::Result<()> {
    chunk.clear();
    chunk.resize(capacity, 0);
    let mut filled = 0;
    while filled < capacity {
        match source.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    chunk.truncate(filled);
    Ok(())
}

/// Tells how many bytes have passed.
pub(crate) struct Counted<'a, R> {
    source: R,
    passed: u64,
    progress: &'a dyn Fn(u64),
}

impl<'a, R: Read> Counted<'a, R> {
    pub(crate) fn new(source: R, progress: &'a dyn Fn(u64)) -> Self {
        Self { source, passed: 0, progress }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.passed += read as u64;
        (self.progress)(self.passed);
        Ok(read)
    }
}

/// Reads what is buffered first; lets a boxed decoder be used where `BufRead` is asked for.
pub(crate) fn buffered<'a>(source: Box<dyn Read + 'a>) -> impl BufRead + 'a {
    BufReader::with_capacity(BUFFER, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decoder(bytes)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn the_first_bytes_tell_the_compression() {
        let content = b"some content".repeat(1000);
        let skippable =
            [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd::encode_all(&content[..], 1).unwrap()]
                .concat();
        let cases = [
            content.clone(),
            gzip(&content),
            [gzip(&content[..500]), gzip(&content[500..])].concat(),
            zstd::encode_all(&content[..], 1).unwrap(),
            skippable,
        ];
        for bytes in cases {
            assert_eq!(decoded(&bytes).unwrap(), content);
        }
        assert_eq!(decoded(b"").unwrap(), b"");
        assert_eq!(decoded(b"\x1f").unwrap(), b"\x1f");
    }

    #[test]
    fn truncated_or_damaged_streams_are_errors() {
        let whole = gzip(&b"some content".repeat(1000));
        assert!(decoded(&whole[..whole.len() - 1]).is_err());
        assert!(decoded(&[&whole[..], b"garbage"].concat()).is_err());
        let whole = zstd::encode_all(&b"some content".repeat(1000)[..], 1).unwrap();
        assert!(decoded(&whole[..whole.len() - 1]).is_err());
    }
}
