//! `container wait`.

use barge_api::containers::WaitCondition;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::NoFlags;
use crate::output;

/// Block until one or more containers stop, then print their exit codes.
pub(crate) struct Wait;

impl Verb for Wait {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Block until one or more containers stop, then print their exit codes";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let client = cli.client().await?;
        let mut failures = Failures::default();
        for name in &args {
            let ended =
                async { client.containers().wait(name, WaitCondition::NotRunning).await?.ended().await };
            if let Some(response) = failures.note(ended.await) {
                match response.error {
                    Some(error) => drop(failures.note(Err::<(), _>(error.message))),
                    None => output::say(&response.status_code.to_string()),
                }
            }
        }
        failures.into_result()
    }
}
