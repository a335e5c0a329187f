//! The driver's options: `type`, `device` and `o`, as mount(8) takes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Source;
use crate::error::{Error, Result};

const KNOWN: [&str; 3] = ["type", "device", "o"];

/// For each option, those that must come with it.
const NEEDED: [(&str, &[&str]); 3] =
    [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];

/// Checks options when a volume is made, so that it does not fail only when it is used.
pub(super) fn validate(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    let refuse = |reason: String| Error::invalid(format!("create {name}: {reason}"));
    if let Some(unknown) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(refuse(format!("invalid option: \"{unknown}\"")));
    }
    for (option, needed) in NEEDED {
        if let Some(missing) = needed.iter().find(|other| !options.contains_key(**other))
            && options.contains_key(option)
        {
            return Err(refuse(format!("missing required option: \"{missing}\"")));
        }
    }
    if let Some((path, _)) = bound(options)
        && !Path::new(path).is_absolute()
    {
        return Err(refuse(format!("invalid device: \"{path}\" is not an absolute path")));
    }
    Ok(())
}

/// What a volume with these options is, its data directory being `data`.
pub(super) fn source(data: PathBuf, options: &BTreeMap<String, String>) -> (PathBuf, Source) {
    if let Some((path, words)) = bound(options)
        && words.is_empty()
    {
        return (PathBuf::from(path), Source::Directory);
    }
    let Some(kind) = options.get("type") else { return (data, Source::Directory) };
    let device = options.get("device").cloned().unwrap_or_default();
    let filesystem = Source::Filesystem { kind: kind.clone(), device, options: words(options) };
    (data, filesystem)
}

/// The directory a `bind` volume stands for, and its other mount options.
fn bound(options: &BTreeMap<String, String>) -> Option<(&str, Vec<String>)> {
    let words = words(options);
    let is_bind = |word: &String| word == "bind" || word == "rbind";
    if !words.iter().any(is_bind) {
        return None;
    }
    let device = options.get("device")?;
    Some((device, words.into_iter().filter(|word| !is_bind(word)).collect()))
}

fn words(options: &BTreeMap<String, String>) -> Vec<String> {
    let text = options.get("o").map_or("", String::as_str);
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_checked() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(Pairs, Option<&str>); 7] = [
            (&[], None),
            (&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")], None),
            (&[("type", "none"), ("device", "/srv"), ("o", "bind")], None),
            (&[("size", "1m")], Some("create v: invalid option: \"size\"")),
            (&[("type", "tmpfs")], Some("create v: missing required option: \"device\"")),
            (&[("o", "bind")], Some("create v: missing required option: \"device\"")),
            (
                &[("type", "none"), ("device", "srv"), ("o", "bind")],
                Some("create v: invalid device: \"srv\" is not an absolute path"),
            ),
        ];
        for (pairs, expected) in cases {
            let found = validate("v", &options(pairs)).err();
            assert_eq!(found.as_ref().map(Error::message), expected, "{pairs:?}");
        }
    }

    #[test]
    fn sources() {
        let data = || PathBuf::from("/data");
        assert_eq!(source(data(), &options(&[])), (data(), Source::Directory));
        let bind = options(&[("type", "none"), ("device", "/srv"), ("o", "bind")]);
        assert_eq!(source(data(), &bind), (PathBuf::from("/srv"), Source::Directory));
        let nfs = options(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=10.0.0.1,ro")]);
        let expected = Source::Filesystem {
            kind: "nfs".to_owned(),
            device: ":/x".to_owned(),
            options: vec!["addr=10.0.0.1".to_owned(), "ro".to_owned()],
        };
        assert_eq!(source(data(), &nfs), (data(), expected));
        let read_only = options(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]);
        assert!(matches!(source(data(), &read_only).1, Source::Filesystem { .. }));
    }
}
