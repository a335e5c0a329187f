//! What happened, for whoever asks: publish, subscribe, a ring of the last ones.
//!
//! ```text
//! publish ──> ring (the last 256, for `since`)
//!        └──> broadcast ──> subscriber's stream, filtered
//! ```
//!
//! One lock orders publishing and subscribing, so that a subscriber gets each event once: from the ring or live. A
//! subscriber that falls more than a channel's length behind loses the oldest events, never the publisher its time.

mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use barge_api::Filters;
use barge_api::events::{EventActor, EventMessage, EventType};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many events are kept for subscribers who ask for the past: as many as dockerd keeps.
const RING: usize = 256;

/// How far a subscriber may fall behind.
const CHANNEL: usize = 1024;

/// The stream of events of one engine.
pub struct Events {
    ring: Mutex<VecDeque<Arc<EventMessage>>>,
    live: broadcast::Sender<Arc<EventMessage>>,
}

/// Which events a subscriber wants.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Also those of the ring from this moment on.
    pub since: Option<Timestamp>,
    /// The stream ends at this moment; without it it never does.
    pub until: Option<Timestamp>,
    pub filters: Filters,
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// No event yet.
    pub fn new() -> Self {
        Self { ring: Mutex::new(VecDeque::with_capacity(RING)), live: broadcast::Sender::new(CHANNEL) }
    }

    /// Tells all subscribers and the ring. `id` is the object's, `attributes` go with the actor.
    pub fn publish(&self, kind: EventType, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let now = Timestamp::now();
        let message = Arc::new(EventMessage {
            kind,
            action: action.to_owned(),
            actor: EventActor { id: id.to_owned(), attributes },
            scope: "local".to_owned(),
            time: now.as_second(),
            time_nano: i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX),
            ..EventMessage::default()
        });
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == RING {
            ring.pop_front();
        }
        ring.push_back(Arc::clone(&message));
        // An error only says that nobody listens.
        let _ = self.live.send(message);
    }

    /// The events wanted, past ones first. Dropping the stream ends the subscription.
    pub fn subscribe(
        &self,
        wanted: Subscription,
    ) -> impl Stream<Item = Arc<EventMessage>> + Send + 'static + use<> {
        let (past, live) = {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            (past(&ring, &wanted), self.live.subscribe())
        };
        let until = wanted.until;
        let filters = wanted.filters;
        let live = stream::unfold(live, move |mut live| async move {
            loop {
                match before(until, live.recv()).await? {
                    Ok(message) => return Some((message, live)),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "an event subscriber is too slow")
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        let live = live.filter(move |message| std::future::ready(filter::includes(&filters, message)));
        stream::iter(past).chain(live)
    }

    /// How many subscribers there are: for `info`.
    pub fn subscribers(&self) -> usize {
        self.live.receiver_count()
    }
}

/// The ring's events that a subscriber wants; none unless a time was given.
fn past(ring: &VecDeque<Arc<EventMessage>>, wanted: &Subscription) -> Vec<Arc<EventMessage>> {
    if wanted.since.is_none() && wanted.until.is_none() {
        return Vec::new();
    }
    let nanos = |time: Timestamp| time.as_nanosecond();
    let from = wanted.since.map_or(i128::MIN, nanos);
    let to = wanted.until.map_or(i128::MAX, nanos);
    let within = |message: &&Arc<EventMessage>| (from..=to).contains(&i128::from(message.time_nano));
    ring.iter()
        .filter(within)
        .filter(|message| filter::includes(&wanted.filters, message))
        .map(Arc::clone)
        .collect()
}

/// The future's output, or `None` once `until` has come.
async fn before<T>(until: Option<Timestamp>, future: impl Future<Output = T>) -> Option<T> {
    let Some(until) = until else { return Some(future.await) };
    let left = std::time::Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::timeout(left, future).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(events: &Events, action: &str) {
        events.publish(EventType::Container, action, "abc", BTreeMap::new());
    }

    fn actions(messages: &[Arc<EventMessage>]) -> Vec<&str> {
        messages.iter().map(|message| message.action.as_str()).collect()
    }

    #[tokio::test]
    async fn subscribers_get_live_events_only_unless_they_ask_for_the_past() {
        let events = Events::new();
        publish(&events, "create");
        let live = events.subscribe(Subscription::default());
        let all =
            events.subscribe(Subscription { since: Some(Timestamp::UNIX_EPOCH), ..Subscription::default() });
        publish(&events, "start");
        assert_eq!(actions(&live.take(1).collect::<Vec<_>>().await), ["start"]);
        assert_eq!(actions(&all.take(2).collect::<Vec<_>>().await), ["create", "start"]);
    }

    #[tokio::test]
    async fn a_stream_with_an_end_ends() {
        let events = Events::new();
        publish(&events, "create");
        let past = Subscription { until: Some(Timestamp::now()), ..Subscription::default() };
        assert_eq!(actions(&events.subscribe(past).collect::<Vec<_>>().await), ["create"]);
    }

    #[tokio::test]
    async fn the_ring_keeps_the_last_ones() {
        let events = Events::new();
        for number in 0..=RING {
            publish(&events, &number.to_string());
        }
        let since = Some(Timestamp::UNIX_EPOCH);
        let kept: Vec<_> = events
            .subscribe(Subscription { since, until: Some(Timestamp::now()), ..Subscription::default() })
            .collect()
            .await;
        assert_eq!((kept.len(), kept[0].action.as_str()), (RING, "1"));
    }

    #[tokio::test]
    async fn dropping_a_stream_unsubscribes() {
        let events = Events::new();
        let stream = events.subscribe(Subscription::default());
        assert_eq!(events.subscribers(), 1);
        drop(stream);
        assert_eq!(events.subscribers(), 0);
    }
}
