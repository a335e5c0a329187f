//! `events`.

use barge_api::events::EventMessage;
use barge_client::EventOptions;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::filter::FilterFlags;
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::template::{Place, Template};
use crate::output::{self, inspect, units};

/// Get real time events from the server.
pub(crate) struct Events;

flags! {
    /// Flags of `events`.
    pub(crate) struct EventsFlags {
        filter: FilterFlags = "filter" / 'f', "Filter output based on conditions provided";
        format: String = "format", INSPECT_FORMAT;
        since: String = "since", "Show all events created since timestamp";
        until: String = "until", "Stream events until this timestamp";
    }
}

impl Verb for Events {
    type Flags = EventsFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Get real time events from the server";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: EventsFlags, _args: Vec<String>) -> Result<()> {
        let template = match flags.format.as_str() {
            "" | "json" => None,
            source => Some(Template::compile(source, Place::Row)?),
        };
        let options = EventOptions {
            since: units::moment(&flags.since)?,
            until: units::moment(&flags.until)?,
            filters: flags.filter.0,
        };
        let mut events = cli.client().await?.system().events(&options).await?;
        while let Some(event) = events.next().await? {
            let json = || {
                serde_json::to_string(&event)
                    .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))
            };
            match &template {
                Some(template) => output::say(&inspect::render(template, &json()?)?),
                None if flags.format == "json" => output::say(&json()?),
                None => output::say(&line(&event, &TimeZone::system())),
            }
        }
        Ok(())
    }
}

/// Time, type, action, ID and attributes of an event.
fn line(event: &EventMessage, zone: &TimeZone) -> String {
    let nanoseconds =
        if event.time_nano == 0 { i128::from(event.time) * 1_000_000_000 } else { event.time_nano.into() };
    let moment = Timestamp::from_nanosecond(nanoseconds).unwrap_or_default().to_zoned(zone.clone());
    let offset = if moment.offset().is_zero() { "Z".to_owned() } else { moment.strftime("%:z").to_string() };
    let time = format!("{}{offset}", moment.strftime("%Y-%m-%dT%H:%M:%S.%9f"));
    let mut text = format!("{time} {} {} {}", event.kind.as_str(), event.action, event.actor.id);
    if !event.actor.attributes.is_empty() {
        let pairs: Vec<String> =
            event.actor.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text = format!("{text} ({})", pairs.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use barge_api::events::EventActor;

    use super::*;

    #[test]
    fn lines_have_nine_digits() {
        let attributes =
            [("name".to_owned(), "web".to_owned()), ("image".to_owned(), "busybox".to_owned())].into();
        let event = EventMessage {
            action: "start".to_owned(),
            actor: EventActor { id: "abc".to_owned(), attributes },
            time: 1_136_073_600,
            time_nano: 1_136_073_600_000_000_100,
            ..EventMessage::default()
        };
        let expected = "2006-01-01T00:00:00.000000100Z container start abc (image=busybox, name=web)";
        assert_eq!(line(&event, &TimeZone::UTC), expected);
    }
}
