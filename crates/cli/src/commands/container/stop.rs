//! `container stop`.

use barge_client::StopOptions;

use super::each::each;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;

/// Stop one or more running containers.
pub(crate) struct Stop;

flags! {
    /// Flags of `stop` and `restart`.
    pub(crate) struct StopFlags {
        signal: String = "signal" / 's', "Signal to send to the container";
        timeout: Option<i64> = "timeout" / 't', "Seconds to wait before killing the container";
        time: Option<i64> = "time", "";
    }
}

impl StopFlags {
    /// What the flags ask for.
    pub(super) fn into_options(self) -> Result<StopOptions> {
        if self.time.is_some() && self.timeout.is_some() {
            return Err(Failure::new("conflicting options: cannot specify both --timeout and --time"));
        }
        Ok(StopOptions { signal: self.signal, timeout: self.timeout.or(self.time) })
    }
}

impl Verb for Stop {
    type Flags = StopFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Stop one or more running containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: StopFlags, args: Vec<String>) -> Result<()> {
        let options = flags.into_options()?;
        each(cli, &args, |containers, name| containers.stop(name, &options)).await
    }
}
