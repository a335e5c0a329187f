//! Events by API version.

use barge_api::ApiVersion;
use barge_api::events::{EventMessage, EventType, action};

/// The event as this version has it; `None` if it doesn't.
pub(crate) fn event(message: &EventMessage, version: ApiVersion) -> Option<EventMessage> {
    if !version.at_least(46) && message.kind == EventType::Image && message.action == action::CREATE {
        return None;
    }
    let mut message = message.clone();
    // Gone since 1.52; the docker CLI up to 24 can't do without them.
    if !version.at_least(52) && matches!(message.kind, EventType::Container | EventType::Image) {
        message.status.clone_from(&message.action);
        message.id.clone_from(&message.actor.id);
        if message.kind == EventType::Container {
            message.from = message.actor.attributes.get("image").cloned().unwrap_or_default();
        }
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use barge_api::events::EventActor;

    use super::*;

    #[test]
    fn old_versions_get_the_old_fields() {
        let attributes = [("image".to_owned(), "busybox".to_owned())].into();
        let start = EventMessage {
            action: "start".to_owned(),
            actor: EventActor { id: "abc".to_owned(), attributes },
            ..EventMessage::default()
        };
        let old = event(&start, ApiVersion::new(1, 51)).unwrap();
        assert_eq!((old.status.as_str(), old.id.as_str(), old.from.as_str()), ("start", "abc", "busybox"));
        assert_eq!(event(&start, ApiVersion::new(1, 52)).unwrap(), start);
        let create =
            EventMessage { kind: EventType::Image, action: "create".to_owned(), ..EventMessage::default() };
        assert!(event(&create, ApiVersion::new(1, 45)).is_none());
        assert!(event(&create, ApiVersion::new(1, 46)).is_some());
    }
}
