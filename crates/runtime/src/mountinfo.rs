//! The text of proc_pid_mountinfo(5), in which names may be any bytes.
//!
//! ```text
//! kernel          /mnt/a\040b   /mnt/caf<E9>    blanks and backslashes as three octal digits, all else as it is
//! as text         /mnt/a\040b   /mnt/caf\351    what is no UTF-8 too
//! unescape        /mnt/a b      /mnt/caf<E9>
//! ```
//!
//! What the fields of a line mean is known where they are needed.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// More than most hosts' mounts take.
const AT_ONCE: usize = 16 * 1024;

/// The lines of a process's file; [`unescape`] gives their names back.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    // The kernel walks its mounts anew for each part that is asked for.
    let mut bytes = Vec::with_capacity(AT_ONCE);
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(text(bytes))
}

/// One mount with a name that is no UTF-8, anywhere on the host, must not hide all others.
fn text(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\{byte:03o}")));
    }
    text
}

/// The name that a field stands for.
pub(crate) fn unescape(field: &str) -> OsString {
    let mut parts = field.split('\\');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                out.extend_from_slice(&part.as_bytes()[3..]);
            }
            None => {
                out.push(b'\\');
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read_back() {
        let cases: [(&[u8], &[u8]); 4] = [
            (br"/a\040b\134c\x", br"/a b\c\x"),
            (b"/caf\xe9", b"/caf\xe9"),
            (b"/caf\xe9\\040\xff", b"/caf\xe9 \xff"),
            ("/mü\\040\u{e9}".as_bytes(), "/mü é".as_bytes()),
        ];
        for (kernels, name) in cases {
            let text = text(kernels.to_vec());
            assert_eq!(unescape(&text), OsString::from_vec(name.to_vec()), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_leaves_the_other_lines_alone() {
        assert_eq!(text(b"1 /\xe9 rw\n2 /\xc3\xa9 rw\n".to_vec()), "1 /\\351 rw\n2 /é rw\n");
    }
}
