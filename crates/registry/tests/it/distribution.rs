//! Round trips through a real registry.

use std::collections::BTreeMap;

use barge_registry::{Credentials, Event, Kind, Phase, Progress};

use crate::image::Image;
use crate::registry::{Registry, Settings, run};
use crate::server::{Server, honest};
use crate::{Scratch, client, reference};

/// A store with the image under the name.
async fn stored(image: &Image, name: &str) -> Scratch {
    let served = image.clone();
    let server = Server::start(move |request| honest(&served, request));
    let scratch = Scratch::new();
    let source = reference(&server.name("made"));
    let pulled = client().pull(&scratch.store, &source, None, None, &Progress::none()).await.unwrap();
    scratch.store.images().tag(&pulled.image.id, &reference(name)).unwrap();
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_comes_back_with_the_same_digest() {
    let registry = Registry::start();
    let image = Image::new("round", &[200_000, 30, 1 << 20]);
    let name = registry.name("a/round:one");
    let scratch = stored(&image, &name).await;
    let client = client();
    let name = reference(&name);
    let pushed = client.push(&scratch.store, &name, None, &Progress::none()).await.unwrap();
    assert_eq!((pushed.digest, pushed.size), (image.digest(), image.manifest.len() as u64));
    let known = scratch.store.images().resolve(&name.to_string()).unwrap();
    assert!(known.repo_digests.contains(&format!("{}@{}", name.name(), image.digest())));

    let other = Scratch::new();
    let pulled = client.pull(&other.store, &name, None, None, &Progress::none()).await.unwrap();
    assert_eq!(pulled.digest, image.digest());
    let by_digest = name.with_digest(&image.digest());
    let third = Scratch::new();
    let pulled = client.pull(&third.store, &by_digest, None, None, &Progress::none()).await.unwrap();
    assert_eq!(pulled.image.manifest, image.digest());

    let inspected = client.inspect(&name, None).await.unwrap();
    assert_eq!(inspected.descriptor.digest, image.digest());
    assert_eq!(inspected.platforms.len(), 1);
    assert_eq!(client.tags(&name, None).await.unwrap(), ["one"]);
    let shown = run(
        "skopeo",
        &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{name}")],
    );
    assert_eq!(shown.trim(), image.digest().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_the_registry_has_are_not_sent_again() {
    let registry = Registry::start();
    let image = Image::new("mount", &[100_000, 50_000]);
    let first = registry.name("a/first:latest");
    let scratch = stored(&image, &first).await;
    let client = client();
    let mut outcomes = Vec::new();
    for name in ["a/first:latest", "a/first:again", "b/second:latest"] {
        let name = reference(&registry.name(name));
        let id = scratch.store.images().list()[0].id;
        scratch.store.images().tag(&id, &name).unwrap();
        let (progress, mut events) = Progress::channel();
        client.push(&scratch.store, &name, None, &progress).await.unwrap();
        drop(progress);
        // Each layer's own last word: they go at the same time.
        let mut last = BTreeMap::new();
        while let Some(event) = events.recv().await {
            if let Event::Layer { id, phase } = event {
                last.insert(id, phase);
            }
        }
        outcomes.push(last.into_values().collect::<Vec<_>>());
    }
    let mounted = Phase::MountedFrom { repository: "a/first".to_owned() };
    assert_eq!(outcomes[0], [Phase::Pushed, Phase::Pushed]);
    assert_eq!(outcomes[1], [Phase::LayerExists, Phase::LayerExists]);
    assert_eq!(outcomes[2], [mounted.clone(), mounted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_tool_is_pulled() {
    let registry = Registry::start();
    let image = Image::new("skopeo", &[70_000, 80_000]);
    let scratch = stored(&image, &registry.name("x:oci")).await;
    client()
        .push(&scratch.store, &reference(&registry.name("x:oci")), None, &Progress::none())
        .await
        .unwrap();
    let (from, to) =
        (format!("docker://{}", registry.name("x:oci")), format!("docker://{}", registry.name("y:v2")));
    run(
        "skopeo",
        &["copy", "--format", "v2s2", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to],
    );
    let other = Scratch::new();
    let (progress, mut events) = Progress::channel();
    let pulled =
        client().pull(&other.store, &reference(&registry.name("y:v2")), None, None, &progress).await.unwrap();
    drop(progress);
    assert!(pulled.image.manifest_media_type.contains("docker"));
    let mut phases = Vec::new();
    while let Some(event) = events.recv().await {
        phases.push(event);
    }
    assert_eq!(phases[0], Event::Found);
    let count = |wanted: &Phase| {
        phases.iter().filter(|event| matches!(event, Event::Layer { phase, .. } if phase == wanted)).count()
    };
    for phase in [Phase::PullingFsLayer, Phase::Verifying, Phase::DownloadComplete, Phase::PullComplete] {
        assert_eq!(count(&phase), 2, "{phase:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_users_lets_only_them_in() {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    run("htpasswd", &["-Bbc", "-C", "4", users.to_str().unwrap(), "user", "secret"]);
    let settings = Settings { users: Some(users.display().to_string()), ..Settings::default() };
    let registry = Registry::with(&settings);
    let image = Image::new("private", &[10_000]);
    let scratch = stored(&image, &registry.name("private")).await;
    let (client, name) = (client(), reference(&registry.name("private")));
    let (user, wrong) = (Credentials::password("user", "secret"), Credentials::password("user", "guess"));

    let error = client.push(&scratch.store, &name, None, &Progress::none()).await.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
    assert_eq!(error.kind(), Kind::Unauthorized);
    let error = client.push(&scratch.store, &name, Some(&wrong), &Progress::none()).await.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    client.push(&scratch.store, &name, Some(&user), &Progress::none()).await.unwrap();
    let other = Scratch::new();
    client.pull(&other.store, &name, None, Some(&user), &Progress::none()).await.unwrap();

    client.login(&registry.authority(), &user).await.unwrap();
    let error = client.login(&registry.authority(), &wrong).await.unwrap_err();
    let ping = format!("http://{}/v2/", registry.authority());
    assert_eq!(error.to_string(), format!("login attempt to {ping} failed with status: 401 Unauthorized"));
}
