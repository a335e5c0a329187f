//! Whether an event passes a subscriber's filters. Values of one key are alternatives, keys add up.

use barge_api::Filters;
use barge_api::events::{EventMessage, EventType, action};

/// Keys that name an object: its ID or name, or the start of one.
const OBJECTS: [&str; 9] =
    ["container", "daemon", "plugin", "volume", "network", "node", "service", "secret", "config"];

/// Actions whose text goes on after a colon, so that a filter can only name their start.
const OPEN_ENDED: [&str; 3] = [action::HEALTH_STATUS, action::EXEC_CREATE, action::EXEC_START];

pub(super) fn includes(filters: &Filters, event: &EventMessage) -> bool {
    filters.is_empty()
        || action_matches(filters, &event.action)
            && filters.exact("type", event.kind.as_str())
            && filters.exact("scope", &event.scope)
            && OBJECTS.iter().all(|key| object_matches(filters, key, event))
            && image_matches(filters, event)
            && filters.labels("label", &event.actor.attributes)
}

fn action_matches(filters: &Filters, action: &str) -> bool {
    if OPEN_ENDED.iter().any(|open| filters.values("event").any(|value| value == *open)) {
        return filters.any("event", |value| action.starts_with(value));
    }
    filters.exact("event", action)
}

fn object_matches(filters: &Filters, key: &str, event: &EventMessage) -> bool {
    let name = event.actor.attributes.get("name").map_or("", String::as_str);
    filters.any(key, |value| event.actor.id.starts_with(value) || name.starts_with(value))
}

/// The image itself, or the one a container was made from; with or without its tag.
fn image_matches(filters: &Filters, event: &EventMessage) -> bool {
    let attribute = if event.kind == EventType::Image { "name" } else { "image" };
    let name = event.actor.attributes.get(attribute).map_or("", String::as_str);
    filters.any("image", |value| {
        [event.actor.id.as_str(), name].iter().any(|found| *found == value || without_tag(found) == value)
    })
}

fn without_tag(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    // A colon before the last slash belongs to the registry's port.
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use barge_api::events::EventActor;

    use super::*;

    fn event(kind: EventType, action: &str, id: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EventMessage {
            kind,
            action: action.to_owned(),
            actor: EventActor { id: id.to_owned(), attributes: attributes.collect() },
            scope: "local".to_owned(),
            ..EventMessage::default()
        }
    }

    #[test]
    fn events_pass_or_not() {
        let start = event(
            EventType::Container,
            "start",
            "c0ffee",
            &[("name", "web"), ("image", "localhost:5000/nginx:1"), ("tier", "front")],
        );
        let healthy = event(EventType::Container, "health_status: healthy", "c0ffee", &[]);
        let pull = event(EventType::Image, "pull", "busybox:latest", &[("name", "busybox")]);
        let cases = [
            (r"{}", &start, true),
            (r#"{"event":["start","stop"]}"#, &start, true),
            (r#"{"event":["sta"]}"#, &start, false),
            (r#"{"event":["health_status"]}"#, &healthy, true),
            (r#"{"event":["health_status: healthy"]}"#, &healthy, true),
            (r#"{"event":["health_status: unhealthy"]}"#, &healthy, false),
            (r#"{"type":["image"]}"#, &start, false),
            (r#"{"type":{"container":true}}"#, &start, true),
            (r#"{"container":["c0ff"]}"#, &start, true),
            (r#"{"container":["web"]}"#, &start, true),
            (r#"{"container":["db"]}"#, &start, false),
            (r#"{"image":["localhost:5000/nginx"]}"#, &start, true),
            (r#"{"image":["localhost"]}"#, &start, false),
            (r#"{"image":["busybox"]}"#, &pull, true),
            (r#"{"image":["busybox:latest"]}"#, &pull, true),
            (r#"{"label":["tier=front"]}"#, &start, true),
            (r#"{"label":["tier=back"]}"#, &start, false),
            (r#"{"scope":["swarm"]}"#, &start, false),
            (r#"{"type":["container"],"event":["stop"]}"#, &start, false),
        ];
        for (filters, event, expected) in cases {
            assert_eq!(includes(&Filters::parse(filters).unwrap(), event), expected, "{filters}");
        }
    }
}
