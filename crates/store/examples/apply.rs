//! Measures how fast a layer is applied: `cargo run --release -p barge-store --example apply -- LAYER [DATA_ROOT]`.
//!
//! Applies the (compressed) tar to a fresh data root under `DATA_ROOT` (default `/var/tmp`), five times, and tells
//! the time and the rate by the bytes of the plain tar.
#![allow(clippy::print_stdout)]

use barge_oci::Hasher;
use barge_store::Store;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let layer = args.next().ok_or("which layer?")?;
    let parent = args.next().unwrap_or_else(|| "/var/tmp".into());
    let mut hasher = Hasher::new();
    let mut length = 0;
    let mut plain = flate2::read::MultiGzDecoder::new(File::open(&layer)?);
    let mut chunk = vec![0; 1 << 20];
    let start = Instant::now();
    loop {
        let read = plain.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        length += read;
    }
    let diff_id = hasher.finish();
    println!("{length} bytes, decompressed and hashed in {:?}", start.elapsed());
    for _ in 0..5 {
        let root = tempfile::tempdir_in(&parent)?;
        let store = Store::open(root.path())?;
        let start = Instant::now();
        store.layers().apply(File::open(&layer)?, "", &diff_id, &[diff_id], &|_| {})?;
        let time = start.elapsed();
        println!("applied in {time:?}, {:.0} MB/s", length as f64 / 1e6 / time.as_secs_f64());
    }
    Ok(())
}
