//! Strings as Docker's log encoder writes them, byte for byte.
//!
//! `"` and `\` are escaped by a backslash, newline and carriage return as `\n` and `\r`, every other control
//! character and `<`, `>`, `&`, U+2028, U+2029 as `\u….`; each byte that isn't UTF-8 becomes `\ufffd`.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What must not be copied as it is: 1 for ASCII that is escaped, 2 for the byte that begins U+2028 and U+2029.
const SPECIAL: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = 1;
        byte += 1;
    }
    table[b'"' as usize] = 1;
    table[b'\\' as usize] = 1;
    table[b'<' as usize] = 1;
    table[b'>' as usize] = 1;
    table[b'&' as usize] = 1;
    table[0xE2] = 2;
    table
};

/// Appends `text` to `out` without quotes around it.
pub(super) fn append(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        append_valid(out, chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(br"\ufffd");
        }
    }
}

fn append_valid(out: &mut Vec<u8>, text: &[u8]) {
    let mut copied = 0;
    let mut at = 0;
    while let Some(step) = text[at..].iter().position(|&byte| SPECIAL[usize::from(byte)] != 0) {
        at += step;
        let (escape, length) = match (text[at], text.get(at + 1), text.get(at + 2)) {
            (0xE2, Some(0x80), Some(&last @ (0xA8 | 0xA9))) => (Escape::Separator(last & 0xF), 3),
            (0xE2, _, _) => {
                at += 1;
                continue;
            }
            (byte, _, _) => (Escape::Ascii(byte), 1),
        };
        out.extend_from_slice(&text[copied..at]);
        escape.append(out);
        at += length;
        copied = at;
    }
    out.extend_from_slice(&text[copied..]);
}

enum Escape {
    Ascii(u8),
    /// The last digit of U+2028 or U+2029.
    Separator(u8),
}

impl Escape {
    fn append(&self, out: &mut Vec<u8>) {
        let hex = |digit: u8| HEX[usize::from(digit & 0xF)];
        match *self {
            Self::Ascii(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
            Self::Ascii(b'\n') => out.extend_from_slice(br"\n"),
            Self::Ascii(b'\r') => out.extend_from_slice(br"\r"),
            Self::Ascii(byte) => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]),
            Self::Separator(digit) => out.extend_from_slice(&[b'\\', b'u', b'2', b'0', b'2', hex(digit)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        append(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_of_character_is_written_as_docker_writes_it() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            (b"a\"b\\c", r#"a\"b\\c"#),
            (b"\n\r\t\x00\x1b[0m\x7f", "\\n\\r\\u0009\\u0000\\u001b[0m\x7f"),
            (b"<a>&", r"\u003ca\u003e\u0026"),
            ("\u{2028}\u{2029}\u{2027}€é".as_bytes(), "\\u2028\\u2029\u{2027}€é"),
            (b"\xff\xe2\x82A\xe2", r"\ufffd\ufffd\ufffdA\ufffd"),
        ];
        for (text, wanted) in cases {
            assert_eq!(escaped(text), *wanted);
        }
    }

    proptest! {
        #[test]
        fn serde_reads_back_what_was_escaped(text in any::<String>()) {
            let json = format!("\"{}\"", escaped(text.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_bytes_become_valid_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let json = format!("\"{}\"", escaped(&bytes));
            let read: String = serde_json::from_str(&json).unwrap();
            let wanted: String = bytes.utf8_chunks()
                .flat_map(|chunk| chunk.valid().chars().chain(chunk.invalid().iter().map(|_| '\u{fffd}')))
                .collect();
            prop_assert_eq!(read, wanted);
        }
    }
}
