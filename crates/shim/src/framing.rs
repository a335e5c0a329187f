//! Docker's multiplexed stream: each piece of output behind an 8-byte header.
//!
//! ```text
//! [ stream: 1 = stdout, 2 = stderr ][ 0 0 0 ][ length: u32, big endian ] payload…
//! ```

use serde::{Deserialize, Serialize};

/// One of a process's two output streams. A terminal has only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in log files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The header in front of `length` bytes of `stream`.
pub(crate) fn header(stream: Stream, length: usize) -> [u8; 8] {
    let tag = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    // One read from a pipe or terminal is far below 4 GiB.
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [tag, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_dockers() {
        assert_eq!(header(Stream::Stdout, 5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(header(Stream::Stderr, 0x0102_0304), [2, 0, 0, 0, 1, 2, 3, 4]);
    }
}
