//! `-v [SOURCE:]TARGET[:OPTIONS]`, as far as the client must understand it.

use std::path::Path;

/// One `-v`, sorted into what the engine takes it as.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A bind or a named volume: `SOURCE:TARGET[:OPTIONS]`.
    Bind(String),
    /// An anonymous volume at a path.
    Anonymous(String),
}

/// Reads one `-v`; a source that starts with a dot is relative to our directory.
pub(crate) fn parse(text: &str) -> Result<Volume, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    match parts.as_slice() {
        [target] => Ok(Volume::Anonymous((*target).to_owned())),
        [source, rest @ ..] => Ok(Volume::Bind(format!("{}:{}", absolute(source), rest.join(":")))),
        [] => Err("invalid empty volume spec".to_owned()),
    }
}

/// Makes a path that starts with a dot absolute, without asking the file system.
pub(crate) fn absolute(path: &str) -> String {
    if !path.starts_with('.') {
        return path.to_owned();
    }
    let Ok(here) = std::env::current_dir() else { return path.to_owned() };
    let mut clean = here;
    for part in Path::new(path).components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    clean.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let here = std::env::current_dir().unwrap();
        let bind = |text: &str| Ok(Volume::Bind(text.to_owned()));
        assert_eq!(parse("/data"), Ok(Volume::Anonymous("/data".to_owned())));
        assert_eq!(parse("/a:/b:ro"), bind("/a:/b:ro"));
        assert_eq!(parse("name:/b"), bind("name:/b"));
        assert_eq!(parse("./x:/b"), bind(&format!("{}/x:/b", here.display())));
        assert_eq!(parse(".:/b"), bind(&format!("{}:/b", here.display())));
        for text in ["", ":", "a::b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
