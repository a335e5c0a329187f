//! How a command fails: an exit status and what to say about it.

use std::fmt::Display;

/// Exit status of errors that come before any container: bad flags, a refused create.
pub(crate) const REFUSED: u8 = 125;

/// Result of this crate.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failed command. Without a text nothing is printed: the status alone is the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Failure {
    /// Status 1 with a text.
    pub(crate) fn new(text: impl Display) -> Self {
        Self { code: 1, text: text.to_string() }
    }

    /// Only a status, for example the container's own.
    pub(crate) fn status(code: i64) -> Self {
        // A status outside a byte cannot be told to the shell as it is.
        Self { code: u8::try_from(code & 0xff).unwrap_or(1), text: String::new() }
    }

    /// The same text with another status.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl From<barge_client::Error> for Failure {
    fn from(error: barge_client::Error) -> Self {
        Self::new(error)
    }
}

/// The kernel's reason as Go writes it: lower case, without a number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| format!("{}{}", first.to_ascii_lowercase(), letters.as_str()))
        .unwrap_or_default()
}

/// Runs one step for each of several objects: goes on after a failure, and tells all of them in the end.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    texts: Vec<String>,
}

impl Failures {
    /// Notes the failure, if it is one.
    pub(crate) fn note<T>(&mut self, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.texts.push(error.to_string())).ok()
    }

    /// All failures as one.
    pub(crate) fn into_result(self) -> Result<()> {
        if self.texts.is_empty() { Ok(()) } else { Err(Failure::new(self.texts.join("\n"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_gos() {
        assert_eq!(reason(&std::io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    #[test]
    fn statuses_fit_a_byte() {
        for (status, code) in [(0, 0), (1, 1), (137, 137), (255, 255), (256, 0), (-1, 255)] {
            assert_eq!(Failure::status(status).code, code, "{status}");
        }
    }
}
