//! Blobs come in whole, verified, and go on where they were.

use crate::support::Fixture;
use barge_oci::Digest;
use barge_store::Error;
use std::fs;
use std::io::{ErrorKind, Write};

const CONTENT: &[u8] = b"some content of a blob";

fn digest() -> Digest {
    Digest::sha256_of(CONTENT)
}

#[test]
fn a_blob_put_can_be_read_and_measured() {
    let fixture = Fixture::new();
    let blobs = fixture.store.blobs();
    assert!(matches!(blobs.read(&digest(), 100), Err(Error::BlobNotFound { .. })));
    assert_eq!(blobs.put(CONTENT).unwrap(), digest());
    assert_eq!(blobs.put(CONTENT).unwrap(), digest());
    assert_eq!(blobs.size(&digest()).unwrap(), CONTENT.len() as u64);
    assert_eq!(blobs.read(&digest(), 100).unwrap(), CONTENT);
    assert!(matches!(blobs.read(&digest(), 3), Err(Error::BlobTooLarge { .. })));
}

#[test]
fn an_interrupted_ingest_goes_on_where_it_was_even_in_another_process() {
    let fixture = Fixture::new();
    let mut ingest = fixture.store.blobs().ingest(&digest(), Some(CONTENT.len() as u64)).unwrap();
    ingest.write_all(&CONTENT[..10]).unwrap();
    drop(ingest);
    let fixture = fixture.reopen();
    let mut ingest = fixture.store.blobs().ingest(&digest(), Some(CONTENT.len() as u64)).unwrap();
    assert_eq!(ingest.offset(), 10);
    assert!(!fixture.store.blobs().contains(&digest()));
    ingest.write_all(&CONTENT[10..]).unwrap();
    ingest.commit().unwrap();
    assert_eq!(fixture.store.blobs().read(&digest(), 100).unwrap(), CONTENT);
    assert!(fixture.leftovers().is_empty());
    let ingest = fixture.store.blobs().ingest(&digest(), None).unwrap();
    assert!(ingest.is_complete());
    ingest.commit().unwrap();
}

#[test]
fn a_tampered_blob_is_thrown_away() {
    let fixture = Fixture::new();
    let mut ingest = fixture.store.blobs().ingest(&digest(), None).unwrap();
    ingest.write_all(b"something else").unwrap();
    assert!(ingest.commit().unwrap_err().is_tampered());
    assert!(fixture.leftovers().is_empty());
    assert!(!fixture.store.blobs().contains(&digest()));
}

#[test]
fn a_manifest_that_lies_about_size_is_found_out() {
    let fixture = Fixture::new();
    let mut ingest = fixture.store.blobs().ingest(&digest(), Some(5)).unwrap();
    assert_eq!(ingest.write_all(CONTENT).unwrap_err().kind(), ErrorKind::InvalidData);
    ingest.discard().unwrap();
    let mut ingest = fixture.store.blobs().ingest(&digest(), Some(500)).unwrap();
    ingest.write_all(CONTENT).unwrap();
    assert!(matches!(ingest.commit(), Err(Error::SizeMismatch { expected: 500, .. })));
}

#[test]
fn more_than_a_partial_file_can_hold_is_started_over() {
    let fixture = Fixture::new();
    fs::write(fixture.root.path().join("image/ingest").join(digest().hex()), vec![0; 100]).unwrap();
    let mut ingest = fixture.store.blobs().ingest(&digest(), Some(CONTENT.len() as u64)).unwrap();
    assert_eq!(ingest.offset(), 0);
    ingest.write_all(CONTENT).unwrap();
    ingest.restart().unwrap();
    ingest.write_all(CONTENT).unwrap();
    ingest.commit().unwrap();
}

#[test]
fn a_second_ingest_of_the_same_blob_waits_and_finds_it_done() {
    let fixture = Fixture::new();
    let mut first = fixture.store.blobs().ingest(&digest(), None).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| fixture.store.blobs().ingest(&digest(), None).unwrap().is_complete());
        first.write_all(CONTENT).unwrap();
        first.commit().unwrap();
        assert!(second.join().unwrap());
    });
}
