//! Image names, as far as the client must understand them: which registry, which part is the tag, what to show.
//! Whether a name is valid the engine decides.

const HUB: &str = "docker.io";

/// The registry's host, and port if there is one.
pub(crate) fn domain(name: &str) -> &str {
    match name.split_once('/') {
        Some((first, _))
            if first.contains(['.', ':']) || first == "localhost" || first.to_ascii_lowercase() != first =>
        {
            if first == "index.docker.io" {
                HUB
            } else {
                first
            }
        }
        _ => HUB,
    }
}

/// Splits off the digest or else the tag: `(repository, tag or digest)`; the second is empty without one.
pub(crate) fn split(name: &str) -> (&str, &str) {
    if let Some((named, digest)) = name.split_once('@') {
        return (split(named).0, digest);
    }
    match name.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, ""),
    }
}

/// The short form with a tag, as messages show it.
pub(crate) fn familiar(name: &str) -> String {
    let short = short(name);
    if split(short).1.is_empty() { format!("{short}:latest") } else { short.to_owned() }
}

/// Without Docker Hub's own prefixes.
pub(crate) fn short(name: &str) -> &str {
    let local =
        name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/")).unwrap_or(name);
    if local.len() < name.len() || domain(name) == HUB {
        local.strip_prefix("library/").unwrap_or(local)
    } else {
        local
    }
}

/// The long form of a repository: `docker.io/library/busybox`.
pub(crate) fn canonical(repository: &str) -> String {
    let short = short(repository);
    match domain(repository) {
        HUB if short.contains('/') => format!("{HUB}/{short}"),
        HUB => format!("{HUB}/library/{short}"),
        _ => repository.to_owned(),
    }
}

/// Whether it is a whole or partial ID rather than a name, for `64` hex digits only.
pub(crate) fn is_id(name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        let cases = [
            ("busybox", "docker.io"),
            ("me/app:1", "docker.io"),
            ("index.docker.io/library/busybox", "docker.io"),
            ("localhost/app", "localhost"),
            ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
            ("ghcr.io/a/b", "ghcr.io"),
            ("busybox:1.36", "docker.io"),
        ];
        for (name, expected) in cases {
            assert_eq!(domain(name), expected, "{name}");
        }
    }

    #[test]
    fn parts() {
        assert_eq!(split("busybox"), ("busybox", ""));
        assert_eq!(split("busybox:1.36"), ("busybox", "1.36"));
        assert_eq!(split("127.0.0.1:5000/app"), ("127.0.0.1:5000/app", ""));
        assert_eq!(split("127.0.0.1:5000/app:2"), ("127.0.0.1:5000/app", "2"));
        assert_eq!(split("app:1@sha256:ab"), ("app", "sha256:ab"));
    }

    #[test]
    fn shown_names() {
        assert_eq!(familiar("busybox"), "busybox:latest");
        assert_eq!(familiar("docker.io/library/busybox:1"), "busybox:1");
        assert_eq!(familiar("docker.io/me/app"), "me/app:latest");
        assert_eq!(familiar("ghcr.io/library/app@sha256:ab"), "ghcr.io/library/app@sha256:ab");
        assert_eq!(canonical("busybox"), "docker.io/library/busybox");
        assert_eq!(canonical("me/app"), "docker.io/me/app");
        assert_eq!(canonical("127.0.0.1:5000/app"), "127.0.0.1:5000/app");
    }
}
