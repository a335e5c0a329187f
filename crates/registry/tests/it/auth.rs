//! Who is let in, and who gets to see the password.

use std::sync::Arc;

use barge_registry::{Credentials, Kind, Progress};

use crate::image::Image;
use crate::server::{Answer, Request, Server, honest};
use crate::{Scratch, client, reference};

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn user() -> Credentials {
    Credentials::password("user", "secret")
}

/// A registry that takes the token `letmein`, and the server that gives it to `user`, or to anyone.
fn guarded(image: &Image, anyone: bool) -> (Server, Server) {
    let tokens = Server::start(move |request| match request.header("authorization") {
        Some(BASIC) => Answer::new(200, r#"{"token":"letmein","expires_in":300,"refresh_token":"again"}"#),
        None if request.method == "POST"
            && String::from_utf8_lossy(&request.body).contains("refresh_token=again") =>
        {
            Answer::new(200, r#"{"access_token":"letmein","expires_in":300}"#)
        }
        None if anyone => Answer::new(200, r#"{"token":"letmein"}"#),
        _ => Answer::new(401, r#"{"details":"incorrect username or password"}"#),
    });
    let (served, realm) = (image.clone(), tokens.url("/token"));
    let registry = Server::start(move |request| {
        if request.header("authorization") == Some("Bearer letmein") {
            return honest(&served, request);
        }
        Answer::error(401, "UNAUTHORIZED")
            .header("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="test""#))
    });
    (registry, tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_once_for_its_scope() {
    let image = Image::new("token", &[10, 20]);
    let (registry, tokens) = guarded(&image, false);
    let (scratch, client) = (Scratch::new(), client());
    let name = reference(&registry.name("a/token"));
    let user = user();
    client.pull(&scratch.store, &name, None, Some(&user), &Progress::none()).await.unwrap();
    let asked = tokens.seen(|_| true);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].path.contains("scope=repository%3Aa%2Ftoken%3Apull"), "{}", asked[0].path);
    assert!(asked[0].path.contains("service=test") && asked[0].path.contains("account=user"));
    assert!(registry.seen(|request| request.header("authorization") == Some(BASIC)).is_empty());
    client.pull(&scratch.store, &name, None, Some(&user), &Progress::none()).await.unwrap();
    assert_eq!(tokens.seen(|_| true).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_needs_a_token_too() {
    let image = Image::new("anonymous", &[10]);
    let (registry, tokens) = guarded(&image, true);
    let scratch = Scratch::new();
    let name = reference(&registry.name("a/b"));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
    assert!(tokens.seen(|request| request.header("authorization").is_some()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_token_stands_for_the_password() {
    let image = Image::new("identity", &[10]);
    let (registry, tokens) = guarded(&image, false);
    let logged_in = client().login(&registry.address.to_string(), &user()).await.unwrap();
    assert_eq!(logged_in.identity_token.as_deref(), Some("again"));
    let identity = Credentials { identity_token: "again".to_owned(), ..Credentials::default() };
    let (scratch, name) = (Scratch::new(), reference(&registry.name("a/b")));
    client().pull(&scratch.store, &name, None, Some(&identity), &Progress::none()).await.unwrap();
    assert_eq!(tokens.seen(|request| request.method == "POST").len(), 1);
    let given = Credentials { registry_token: "letmein".to_owned(), ..Credentials::default() };
    let scratch = Scratch::new();
    client().pull(&scratch.store, &name, None, Some(&given), &Progress::none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_in_dockers_words() {
    let (registry, _tokens) = guarded(&Image::new("wrong", &[10]), false);
    let wrong = Credentials::password("user", "guess");
    let error = client().login(&registry.address.to_string(), &wrong).await.unwrap_err();
    let ping = registry.url("/v2/");
    assert_eq!(error.to_string(), format!("Get \"{ping}\": unauthorized: incorrect username or password"));
    assert_eq!(error.kind(), Kind::Unauthorized);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_elsewhere_does_not_take_the_token_along() {
    let image = Image::new("redirect", &[100_000]);
    let blobs = image.clone();
    let content = Server::start(move |request| honest(&blobs, request));
    let (address, manifests) = (content.address, image.clone());
    let registry = Server::start(move |request: &Request| {
        if request.header("authorization") != Some(BASIC) {
            return Answer::error(401, "UNAUTHORIZED").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        if request.is_blob() {
            return Answer::new(307, "").header("Location", format!("http://{address}{}", request.path));
        }
        honest(&manifests, request)
    });
    let (scratch, name) = (Scratch::new(), reference(&registry.name("redirect")));
    let user = user();
    client().pull(&scratch.store, &name, None, Some(&user), &Progress::none()).await.unwrap();
    assert!(!content.seen(|request| request.is_blob()).is_empty());
    assert!(content.seen(|request| request.header("authorization").is_some()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_redirects_end() {
    let registry = Server::start(|request| match request.path.as_str() {
        "/v2/" => Answer::new(200, ""),
        _ => Answer::new(302, "").header("Location", "/v2/round/manifests/again"),
    });
    let (scratch, name) = (Scratch::new(), reference(&registry.name("round")));
    let error = client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_replaced() {
    let image = Image::new("expired", &[10]);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let given = Arc::clone(&count);
    let tokens = Server::start(move |_| {
        let number = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Answer::new(200, format!(r#"{{"token":"t{number}","expires_in":3000}}"#))
    });
    let realm = tokens.url("/token");
    let (served, current) = (image.clone(), Arc::clone(&count));
    let registry = Server::start(move |request| {
        // Each token is good until the next layer is asked for.
        let newest = current.load(std::sync::atomic::Ordering::SeqCst).saturating_sub(1);
        let fresh = request.header("authorization") == Some(&format!("Bearer t{newest}"));
        let worn = newest == 0 && request.is_blob();
        if fresh && !worn {
            return honest(&served, request);
        }
        Answer::error(401, "UNAUTHORIZED").header("WWW-Authenticate", format!("Bearer realm=\"{realm}\""))
    });
    let (scratch, name) = (Scratch::new(), reference(&registry.name("expired")));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap();
}
