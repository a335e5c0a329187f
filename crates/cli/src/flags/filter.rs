//! `--filter NAME=VALUE`.

use barge_api::Filters;

use super::value::Value;

/// All `--filter` flags of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterFlags(pub(crate) Filters);

impl Value for FilterFlags {
    const KIND: &'static str = "filter";

    fn set(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let (name, value) = text.split_once('=').ok_or("bad format of filter (expected name=value)")?;
        self.0.add(name.trim().to_ascii_lowercase(), value.trim());
        Ok(())
    }
}
