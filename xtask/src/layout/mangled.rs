//! Names of functions as the compiler mangles them, made to match those of another build.

/// A pattern of the linker for a mangled name in which that is left open what differs between builds: the hashes of crates,
/// the references back to what stood before (which count letters, hashes among them), and the marks of link-time optimisation.
///
/// A question mark stands for each letter. An asterisk would match hashes of any length (one in twenty has ten letters, not
/// eleven), but a linker tries each pattern on each section: with asterisks it takes minutes.
///
/// Mangled as rustc's "v0" does it; other names are left as they are. See
/// <https://doc.rust-lang.org/rustc/symbol-mangling/v0.html>.
pub(crate) fn pattern(name: &str) -> String {
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    let Some(start) = name.find("_R") else { return name.to_owned() };
    let (mut pattern, mut rest) = (name[..start].to_owned(), &name[start..]);
    while let Some(first) = rest.chars().next() {
        let hidden = match first {
            'C' if rest[1..].starts_with('s') => base_62(&rest[2..]).map(|letters| (2, letters)),
            'B' => base_62(&rest[1..]).map(|letters| (1, letters)),
            _ => None,
        };
        let length = match (hidden, first) {
            (Some((kept, letters)), _) => {
                pattern.push_str(&rest[..kept]);
                pattern.extend(std::iter::repeat_n('?', letters));
                rest = &rest[kept + letters..];
                // The underscore.
                1
            }
            (None, 's') => 1 + base_62(&rest[1..]).unwrap_or_default(),
            (None, '1'..='9') => identifier(rest),
            (None, _) => first.len_utf8(),
        };
        pattern.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    pattern
}

/// How long the number in base 62 is that a text begins with, if an underscore ends it.
fn base_62(text: &str) -> Option<usize> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric())?;
    text[end..].starts_with('_').then_some(end)
}

/// How long an identifier is with its own length before it.
fn identifier(text: &str) -> usize {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let length: usize = text[..digits].parse().unwrap_or_default();
    let separator = usize::from(text[digits..].starts_with('_'));
    let end = digits.saturating_add(separator).saturating_add(length);
    if text.is_char_boundary(end) { end } else { text.len() }
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn what_differs_between_builds_is_left_open() {
        assert_eq!(
            pattern(".text._RNvNtCsfvbhDgq69Nq_13barge_runtime6create6create.llvm.2746543974630200309"),
            ".text._RNvNtCs???????????_13barge_runtime6create6create"
        );
        assert_eq!(
            pattern(
                ".text._RNvXs5_NtCsinirM6643p2_10serde_json2deQINtB6_12DeserializerNtNtB1d_4read9SliceReadE"
            ),
            ".text._RNvXs5_NtCs???????????_10serde_json2deQINtB?_12DeserializerNtNtB??_4read9SliceReadE"
        );
        assert_eq!(pattern("_RNvMs_NtCs1_3std8BTreeMapNtB_3key"), "_RNvMs_NtCs?_3std8BTreeMapNtB_3key");
    }

    #[test]
    fn names_of_other_languages_stay() {
        assert_eq!(pattern(".text.ZSTD_isError"), ".text.ZSTD_isError");
        assert_eq!(pattern(".text"), ".text");
    }

    #[test]
    fn a_name_that_is_cut_off_does_no_harm() {
        for name in ["_RNvCs", "_RNv99x", "_RNvC", "_RNvB", "_RNv99999999999999999999999x"] {
            assert_eq!(pattern(name), name);
        }
    }
}
