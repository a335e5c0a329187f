//! Mirrors, for any registry's domain.

use barge_registry::{Credentials, Kind, Progress};

use crate::image::Image;
use crate::server::{Answer, Server, honest};
use crate::{Scratch, client_with, reference};

fn mirrored(domain: &str, mirrors: &[String]) -> barge_registry::Client {
    client_with(|config| {
        config.mirrors.insert(domain.to_owned(), mirrors.to_vec());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_asked_in_order_and_without_the_users_password() {
    let image = Image::new("mirrored", &[1000]);
    let empty = Server::start(|_| Answer::error(404, "MANIFEST_UNKNOWN"));
    let served = image.clone();
    let full = Server::start(move |request| honest(&served, request));
    let client = mirrored("r.invalid", &[empty.url(""), full.url("/")]);
    let scratch = Scratch::new();
    let user = Credentials::password("user", "secret");
    let name = reference("r.invalid/a/b");
    client.pull(&scratch.store, &name, None, Some(&user), &Progress::none()).await.unwrap();
    assert_eq!(scratch.store.images().list()[0].tags, [name]);
    for server in [&empty, &full] {
        assert!(!server.seen(|_| true).is_empty());
        assert!(server.seen(|request| request.header("authorization").is_some()).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_itself_has_the_last_word() {
    let image = Image::new("upstream", &[300_000]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let served = image.clone();
    let liar = Server::start(move |request| {
        let mut answer = honest(&served, request);
        if request.is_blob() {
            answer.body[0] ^= 1;
        }
        answer
    });
    let served = image.clone();
    let upstream = Server::start(move |request| honest(&served, request));
    let mirrors = [format!("http://{closed}"), liar.url("")];
    let client = mirrored(&upstream.address.to_string(), &mirrors);
    let scratch = Scratch::new();
    let progress = Progress::none();
    client.pull(&scratch.store, &reference(&upstream.name("x")), None, None, &progress).await.unwrap();
    let error =
        client.pull(&scratch.store, &reference(&upstream.name("x:nope")), None, None, &progress).await;
    assert_eq!(error.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_domains_are_not_asked_at_the_mirror() {
    let image = Image::new("other", &[10]);
    let mirror = Server::start(|_| Answer::new(500, ""));
    let served = image.clone();
    let upstream = Server::start(move |request| honest(&served, request));
    let client = mirrored("docker.io", &[mirror.url("")]);
    let scratch = Scratch::new();
    let name = reference(&upstream.name("x"));
    client.pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    assert!(mirror.seen(|_| true).is_empty());
}
