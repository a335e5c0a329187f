//! Pulls over lines that break, from servers that are busy or old, by several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barge_registry::{Kind, Progress, Status};

use crate::image::Image;
use crate::server::{Answer, Server, honest};
use crate::{Scratch, client, client_with, reference};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_resumed_where_it_broke() {
    let image = Image::new("cut", &[3 * MIB, 10]);
    let served = image.clone();
    let server = Server::start(move |request| {
        let answer = honest(&served, request);
        if request.is_blob() && answer.body.len() > 600_000 { answer.cut(600_000) } else { answer }
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("cut"));
    let pulled = client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    assert_eq!((pulled.digest, pulled.status), (image.digest(), Status::Newer));
    let first_bytes: Vec<_> = server.seen(|request| request.range().is_some());
    assert!(first_bytes.len() >= 2, "{first_bytes:?}");
    let mut ranges: Vec<_> = first_bytes.iter().filter_map(crate::server::Request::range).collect();
    ranges.dedup();
    assert!(ranges.is_sorted() && ranges[0] > 0, "{ranges:?}");
    let again = client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    assert_eq!(again.status, Status::UpToDate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_ranges_is_read_from_the_start() {
    let image = Image::new("no-range", &[MIB]);
    let (served, tries) = (image.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let mut plain = request.clone();
        plain.headers.remove("range");
        let answer = honest(&served, &plain);
        let is_layer = request.is_blob() && answer.body.len() > 100_000;
        if is_layer && tries.fetch_add(1, Ordering::SeqCst) < 2 { answer.cut(300_000) } else { answer }
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("no-range"));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    assert!(!server.seen(|request| request.range().is_some()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_length_that_ends_early_is_no_whole_blob() {
    let image = Image::new("unsized", &[MIB]);
    let (served, tries) = (image.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let mut answer = honest(&served, request);
        if request.is_blob() && answer.body.len() > 100_000 && tries.fetch_add(1, Ordering::SeqCst) == 0 {
            answer.body.truncate(300_000);
            answer.unsized_body = true;
        }
        answer
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("unsized"));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_was_stopped_goes_on_later() {
    let image = Image::new("stopped", &[2 * MIB]);
    let (served, calm) = (image.clone(), Arc::new(AtomicUsize::new(0)));
    let allowed = Arc::clone(&calm);
    let server = Server::start(move |request| {
        let answer = honest(&served, request);
        if request.is_blob() && answer.body.len() > 100_000 && allowed.load(Ordering::SeqCst) == 0 {
            let mut slow = answer.clone();
            slow.cut_after = Some(900_000);
            return slow;
        }
        answer
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("stopped"));
    let client = client();
    let pull = {
        let (client, store, name) = (client.clone(), scratch.store.clone(), name.clone());
        tokio::spawn(async move { client.pull(&store, &name, None, None, &Progress::none()).await })
    };
    let partial = scratch.path().join("data/image/ingest").join(image.descriptors()[0].digest.hex());
    while !partial.metadata().is_ok_and(|found| found.len() > 0) {
        assert!(!pull.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pull.abort();
    assert!(pull.await.unwrap_err().is_cancelled());
    assert!(scratch.store.images().list().is_empty());
    calm.store(1, Ordering::SeqCst);
    client.pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    let last = server.seen(|request| request.is_blob()).last().and_then(crate::server::Request::range);
    assert!(last.is_some_and(|first| first > 0), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partial_download_is_fetched_anew() {
    let image = Image::new("damaged", &[MIB]);
    let served = image.clone();
    let server = Server::start(move |request| honest(&served, request));
    let scratch = Scratch::new();
    let partial = scratch.path().join("data/image/ingest").join(image.descriptors()[0].digest.hex());
    std::fs::write(&partial, vec![0; 200_000]).unwrap();
    let name = reference(&server.name("damaged"));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    let ranges: Vec<_> =
        server.seen(|request| request.is_blob()).iter().map(crate::server::Request::range).collect();
    assert!(ranges.contains(&Some(200_000)) && ranges.ends_with(&[None]), "{ranges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_registry_is_asked_again_after_the_pause_it_wants() {
    let image = Image::new("busy", &[100]);
    let (served, tries) = (image.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        if request.path != "/v2/" && tries.fetch_add(1, Ordering::SeqCst) % 3 == 0 {
            return Answer::error(429, "TOOMANYREQUESTS").header("Retry-After", "0");
        }
        honest(&served, request)
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("busy"));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();

    let server = Server::start(|request| match request.path.as_str() {
        "/v2/" => Answer::new(200, ""),
        _ => Answer::error(429, "TOOMANYREQUESTS").header("Retry-After", "3600"),
    });
    let name = reference(&server.name("busy"));
    let error = client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooManyRequests);
    assert_eq!(error.to_string(), "toomanyrequests: toomanyrequests");
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_of_the_same_layers_share_downloads() {
    let image = Image::new("shared", &[MIB, MIB, 50, 50_000]);
    let served = image.clone();
    let server = Server::start(move |request| honest(&served, request));
    let scratch = Scratch::new();
    let client = client_with(|config| config.max_concurrent_downloads = 2);
    let pulls = (0..4).map(|at| {
        let (client, store) = (client.clone(), scratch.store.clone());
        let name = reference(&server.name(&format!("shared{at}")));
        tokio::spawn(async move { client.pull(&store, &name, None, None, &Progress::none()).await })
    });
    for pull in pulls.collect::<Vec<_>>() {
        pull.await.unwrap().unwrap();
    }
    for descriptor in image.descriptors() {
        let fetched = server.seen(|request| request.path.ends_with(&descriptor.digest.to_string()));
        assert_eq!(fetched.len(), 1, "{}", descriptor.digest);
    }
    assert_eq!(scratch.store.images().list().len(), 1);
    assert_eq!(scratch.store.images().list()[0].tags.len(), 4);
}
