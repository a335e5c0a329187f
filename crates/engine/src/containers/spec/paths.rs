//! Paths inside a container, as text: nothing here looks at a disk.

/// The shortest path that means the same, as Go's `path.Clean`: no `.`, no `..`, no repeated or trailing slash.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => _ = kept.pop(),
            ".." if rooted => {}
            part => kept.push(part),
        }
    }
    match (rooted, kept.is_empty()) {
        (true, _) => format!("/{}", kept.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => kept.join("/"),
    }
}

/// Whether a relative path stays below where it starts.
pub(crate) fn is_local(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && !clean(path).split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        let cases = [
            ("", "."),
            ("/", "/"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/..", "/"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("./", "."),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert!(
            is_local("a/b")
                && !is_local("../a")
                && !is_local("/a")
                && !is_local("")
                && !is_local("a/../../b")
        );
    }
}
