//! Lets the kernel write a growing file to the disk in the background, so that the sync at the end, which
//! everything waits for, is short.

use std::fs::File;

/// After so many new bytes the kernel is asked to begin.
const STEP: u64 = 8 << 20;

/// How far a file has been handed to the disk.
#[derive(Debug, Default)]
pub(crate) struct Writeback {
    begun: u64,
}

impl Writeback {
    /// As if everything before `offset` had been handed over.
    pub(crate) fn from(offset: u64) -> Self {
        Self { begun: offset }
    }

    /// The file has grown to `offset`.
    pub(crate) fn reached(&mut self, file: &File, offset: u64) {
        if offset.saturating_sub(self.begun) >= STEP {
            // Only a hint: the sync at the end reports what fails.
            let _ = barge_sys::file::begin_writeback(file, self.begun, offset - self.begun);
            self.begun = offset;
        }
    }
}
