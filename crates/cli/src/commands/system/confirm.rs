//! The question before something is removed for good.

use std::io::Write;

use crate::failure::{Failure, Result};

/// Asks on the terminal, unless `force`; anything but `y` fails with what was called off.
pub(crate) fn unless(force: bool, warning: &str, what: &str) -> Result<()> {
    if force {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
        .and_then(|()| stdout.flush());
    let mut answer = String::new();
    // No answer is no.
    let _ = std::io::stdin().read_line(&mut answer);
    if answer.trim().eq_ignore_ascii_case("y") {
        Ok(())
    } else {
        Err(Failure::new(format!("{what} has been cancelled")))
    }
}
