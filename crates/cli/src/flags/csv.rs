//! The one CSV line that `--mount`, `--network` and `--gpus` take: fields with commas in them stand in quotes.

/// Splits the line; the error is Go's.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let field;
        if let Some(quoted) = rest.strip_prefix('"') {
            (field, rest) = quoted_field(quoted)?;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("parse error on line 1: bare \" in non-quoted-field".to_owned());
            }
            field = rest[..end].to_owned();
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned()),
        }
    }
}

/// What stands up to the closing quote, a doubled one being a quote itself, and what follows.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((part, tail)) = rest.split_once('"') else {
            return Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned());
        };
        field.push_str(part);
        match tail.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_together() {
        let cases: [(&str, Option<&[&str]>); 7] = [
            ("type=bind,src=/a,dst=/b", Some(&["type=bind", "src=/a", "dst=/b"])),
            (
                r#"type=volume,"volume-opt=o=a,b",dst=/b"#,
                Some(&["type=volume", "volume-opt=o=a,b", "dst=/b"]),
            ),
            (r#""a""b""#, Some(&["a\"b"])),
            ("", Some(&[""])),
            ("a,", Some(&["a", ""])),
            (r#""a"#, None),
            (r#"a"b"#, None),
        ];
        for (text, expected) in cases {
            let found = fields(text).ok();
            assert_eq!(
                found.as_deref().map(|found| found.iter().map(String::as_str).collect::<Vec<_>>()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
