//! Registries that lie.

use barge_oci::Platform;
use barge_oci::manifest::media_type;
use barge_registry::{Error, Kind, Progress};

use crate::image::{Image, index};
use crate::server::{Answer, Server, honest, honest_named};
use crate::{Scratch, client, reference};

async fn pull_fails(server: &Server, scratch: &Scratch, name: &str) -> Error {
    let name = reference(&server.name(name));
    client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_layer_is_refused_and_leaves_nothing() {
    let image = Image::new("tampered", &[300_000]);
    for at in [0, 20, 150_000, usize::MAX] {
        let served = image.clone();
        let server = Server::start(move |request| {
            let mut answer = honest(&served, request);
            if request.is_blob() && answer.body.len() > 1000 {
                let last = answer.body.len() - 1;
                answer.body[at.min(last)] ^= 1;
            }
            answer
        });
        let scratch = Scratch::new();
        let error = pull_fails(&server, &scratch, "tampered").await;
        assert_eq!(error.kind(), Kind::Tampered, "{at}: {error}");
        assert!(scratch.store.images().list().is_empty());
        let layer = image.descriptors()[0].digest;
        assert!(!scratch.store.blobs().contains(&layer));
        assert!(!scratch.path().join("data/image/ingest").join(layer.hex()).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_a_size_is_caught() {
    let honest_image = Image::new("lying", &[200_000]);
    for delta in [-1_i64, 1, -100_000, 100_000] {
        for with_length in [true, false] {
            let mut descriptors = honest_image.descriptors();
            descriptors[0].size = descriptors[0].size.checked_add_signed(delta).unwrap();
            let image = honest_image.with_descriptors(&descriptors);
            let server = Server::start(move |request| {
                let mut answer = honest(&image, request);
                answer.unsized_body = !with_length && request.is_blob();
                answer
            });
            let scratch = Scratch::new();
            let error = pull_fails(&server, &scratch, "lying").await;
            assert_eq!(error.kind(), Kind::Tampered, "{delta} {with_length}: {error}");
            assert!(scratch.store.images().list().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_must_be_the_one_asked_for() {
    let (image, other) = (Image::new("wanted", &[10]), Image::new("other", &[10]));
    let served = other.clone();
    let server = Server::start(move |request| {
        let mut request = request.clone();
        if request.path.contains("/manifests/") {
            request.path = "/v2/x/manifests/latest".to_owned();
        }
        honest(&served, &request)
    });
    let scratch = Scratch::new();
    let name = format!("wanted@{}", image.digest());
    assert_eq!(pull_fails(&server, &scratch, &name).await.kind(), Kind::Tampered);
    assert_eq!(scratch.blobs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_of_other_layers_is_refused() {
    let image = Image::new("mixed", &[10, 20]);
    let one_less = image.with_descriptors(&image.descriptors()[..1]);
    let server = Server::start(move |request| honest(&one_less, request));
    assert_eq!(pull_fails(&server, &Scratch::new(), "mixed").await.kind(), Kind::Tampered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_of_swapped_layers_is_refused() {
    let image = Image::new("swapped", &[10, 20]);
    let mut descriptors = image.descriptors();
    descriptors.reverse();
    let swapped = image.with_descriptors(&descriptors);
    let server = Server::start(move |request| honest(&swapped, request));
    let scratch = Scratch::new();
    pull_fails(&server, &scratch, "swapped").await;
    assert!(scratch.store.images().list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_manifests_and_artifacts_are_refused_in_clear_words() {
    let old = br#"{"schemaVersion":1,"name":"x","tag":"latest","fsLayers":[],"history":[]}"#.to_vec();
    let server = Server::start(move |request| {
        honest_named(&[("latest", media_type::DOCKER_MANIFEST_1_SIGNED, old.clone())], &[], request)
    });
    let error = pull_fails(&server, &Scratch::new(), "old").await;
    assert!(error.to_string().contains("schema 1"), "{error}");
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_documents_are_cut_off() {
    let server = Server::start(|request| match request.path.as_str() {
        "/v2/" => Answer::new(200, ""),
        _ => {
            let mut answer =
                Answer::new(200, vec![b' '; 20 << 20]).header("Content-Type", media_type::OCI_MANIFEST);
            answer.unsized_body = true;
            answer
        }
    });
    let error = pull_fails(&server, &Scratch::new(), "endless").await;
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_for_the_platform_is_chosen() {
    let amd64 = Image::for_platform("amd64", &[10], &"linux/amd64".parse().unwrap());
    let armv7 = Image::for_platform("armv7", &[11], &"linux/arm/v7".parse().unwrap());
    let document = index(&[(&amd64, "linux/amd64"), (&armv7, "linux/arm/v7")]);
    let (served, images) = (document.clone(), [amd64.clone(), armv7.clone()]);
    let server = Server::start(move |request| {
        let tags = [("latest", media_type::OCI_INDEX, served.clone())];
        honest_named(&tags, &[&images[0], &images[1]], request)
    });
    let scratch = Scratch::new();
    let name = reference(&server.name("multi"));
    let table = [("linux/amd64", Some(&amd64)), ("linux/arm/v7", Some(&armv7)), ("linux/arm64", None)];
    for (platform, expected) in table {
        let wanted: Platform = platform.parse().unwrap();
        let pulled = client().pull(&scratch.store, &name, Some(&wanted), None, &Progress::none()).await;
        match (pulled, expected) {
            (Ok(pulled), Some(image)) => {
                assert_eq!(pulled.image.manifest, image.digest(), "{platform}");
                assert_eq!(pulled.digest, barge_oci::Digest::sha256_of(&document));
            }
            // An arm64 machine can run the v7 image; whether it should get it is the platform module's to say.
            (Ok(pulled), None) => assert_eq!(pulled.image.manifest, armv7.digest()),
            (Err(error), None) => {
                assert!(error.to_string().starts_with("no matching manifest for linux/arm64"), "{error}")
            }
            (Err(error), Some(_)) => panic!("{platform}: {error}"),
        }
    }
    let wanted: Platform = "linux/s390x".parse().unwrap();
    let error =
        client().pull(&scratch.store, &name, Some(&wanted), None, &Progress::none()).await.unwrap_err();
    assert_eq!(error.to_string(), "no matching manifest for linux/s390x in the manifest list entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_dockers_words() {
    let image = Image::new("there", &[10]);
    let server = Server::start(move |request| honest(&image, request));
    let error = pull_fails(&server, &Scratch::new(), "there:nope").await;
    assert_eq!(
        (error.to_string().as_str(), error.code()),
        ("manifest unknown: manifest unknown", Some("MANIFEST_UNKNOWN"))
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let name = reference(&format!("{closed}/x"));
    let scratch = Scratch::new();
    let error = client().pull(&scratch.store, &name, None, None, &Progress::none()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"http://{closed}/v2/\": dial tcp {closed}: connect: connection refused")
    );
}
