//! Archives written here are read by others, and the other way round.

use crate::support::{Fixture, Tar, gzip, scratch, sh};
use barge_oci::manifest::{MAX_DOCUMENT, media_type};
use barge_oci::{Digest, Reference};
use barge_store::{Error, Import};
use serde_json::json;
use std::fs;
use std::process::Command;

fn layers() -> [Vec<u8>; 2] {
    [
        Tar::new().directory("etc", 0o755).file("etc/os-release", b"ID=test\n").finish(),
        Tar::new().file("hello", b"hello").file("etc/.wh.gone", b"").finish(),
    ]
}

fn name(text: &str) -> Reference {
    Reference::parse_normalized(text).unwrap()
}

fn save(fixture: &Fixture, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut archive = Vec::new();
    fixture.store.save(&names, &mut archive).unwrap();
    archive
}

#[test]
fn what_is_saved_loads_as_the_same_image() {
    let fixture = Fixture::new();
    let [base, top] = layers();
    let first = fixture.image(&[&base, &top], Some("app:1"));
    fixture.store.images().tag(&first.id, &name("app:2")).unwrap();
    let second = fixture.image(&[&base], None);
    let archive = save(&fixture, &["app", &second.id.to_string()]);
    assert_eq!(archive, save(&fixture, &[&second.id.short(), "app:2", "app:1"]));
    let other = Fixture::new();
    for archive in [archive.clone(), gzip(&archive)] {
        let mut loaded = other.store.load(&archive[..], &|_| {}).unwrap();
        loaded.sort_by_key(|loaded| loaded.names.len());
        assert_eq!(loaded[0].image, second.id);
        assert_eq!(loaded[0].names, []);
        assert_eq!(loaded[1].image, first.id);
        assert_eq!(loaded[1].names, [name("app:1"), name("app:2")]);
    }
    let image = other.store.images().resolve("app:1").unwrap();
    assert_eq!((image.manifest, image.chain), (first.manifest, first.chain));
    assert!(other.leftovers().is_empty());
    assert!(matches!(fixture.store.save(&["nope".to_owned()], Vec::new()), Err(Error::ImageNotFound { .. })));
}

#[test]
fn skopeo_and_umoci_read_the_layout_and_the_archive() {
    let fixture = Fixture::new();
    let [base, top] = layers();
    let image = fixture.image(&[&base, &top], Some("app:1"));
    let work = scratch();
    fs::write(work.path().join("saved.tar"), save(&fixture, &["app:1"])).unwrap();
    let layout = fixture.root.path().join("image");
    let layout = layout.display();
    let run = |script: &str| {
        let output = Command::new("sh").args(["-ec", script]).current_dir(work.path()).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let inspected = run(&format!("skopeo inspect oci:{layout}:docker.io/library/app:1"));
    assert!(inspected.contains(&image.manifest.to_string()), "{inspected}");
    run(&format!("skopeo inspect oci:{layout}"));
    run("skopeo inspect docker-archive:saved.tar:app:1");
    run("skopeo copy -q --insecure-policy docker-archive:saved.tar oci:copy:x");
    run("mkdir layout && tar -C layout -xf saved.tar && skopeo inspect oci:layout:1");
    run("umoci unpack --image layout:1 bundle && test $(cat bundle/rootfs/hello) = hello");
}

#[test]
fn skopeos_archives_load() {
    let fixture = Fixture::new();
    let [base, top] = layers();
    let image = fixture.image(&[&base, &top], Some("app:1"));
    let work = scratch();
    let layout = fixture.root.path().join("image");
    sh(
        &format!(
            "skopeo copy -q --insecure-policy oci:{0}:docker.io/library/app:1 docker-archive:docker.tar:app:2
            skopeo copy -q --insecure-policy oci:{0}:docker.io/library/app:1 oci-archive:oci.tar:example.com/app:3",
            layout.display()
        ),
        work.path(),
    );
    let other = Fixture::new();
    for (file, expected) in [("docker.tar", "app:2"), ("oci.tar", "example.com/app:3")] {
        let file = fs::File::open(work.path().join(file)).unwrap();
        let loaded = other.store.load(file, &|_| {}).unwrap();
        assert_eq!(loaded[0].names, [name(expected)]);
        assert_eq!(other.store.images().resolve(expected).unwrap().chain, image.chain);
    }
    // Plain layers of Docker's form are stored compressed.
    let image = other.store.images().resolve("app:2").unwrap();
    let manifest = other.store.blobs().read(&image.manifest, MAX_DOCUMENT).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::OCI_LAYER_GZIP);
}

fn old_archive(config: &serde_json::Value, manifest: &serde_json::Value) -> Tar {
    let [base, top] = layers();
    Tar::new()
        .directory("one/", 0o755)
        .file("one/VERSION", b"1.0")
        .file("one/json", b"{}")
        .file("one/layer.tar", &base)
        .symlink("two/layer.tar", "../one/layer.tar")
        .file("three/layer.tar", &top)
        .file("config.json", config.to_string().as_bytes())
        .file("manifest.json", manifest.to_string().as_bytes())
}

fn config(layers: &[&[u8]]) -> serde_json::Value {
    let ids: Vec<String> = layers.iter().map(|layer| Digest::sha256_of(layer).to_string()).collect();
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}, "config": {}})
}

#[test]
fn dockers_old_form_with_links_between_layers_loads() {
    let [base, top] = layers();
    let manifest = json!([{"Config": "config.json", "RepoTags": ["old:1"],
        "Layers": ["one/layer.tar", "two/layer.tar", "three/layer.tar"]}]);
    let archive = old_archive(&config(&[&base, &base, &top]), &manifest).finish();
    let fixture = Fixture::new();
    let loaded = fixture.store.load(&archive[..], &|_| {}).unwrap();
    assert_eq!(loaded[0].names, [name("old:1")]);
    assert_eq!(fixture.store.images().resolve("old:1").unwrap().chain.len(), 3);
    assert!(fixture.leftovers().is_empty());
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let [base, top] = layers();
    let entry =
        |layers: serde_json::Value| json!([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": layers}]);
    let good = config(&[&base]);
    let cases = [
        old_archive(&good, &entry(json!(["../../../etc/passwd"]))),
        old_archive(&good, &entry(json!(["/etc/passwd"]))),
        old_archive(&good, &entry(json!(["missing/layer.tar"]))),
        old_archive(&good, &entry(json!(["one/layer.tar", "three/layer.tar"]))),
        old_archive(&good, &entry(json!(["three/layer.tar"]))),
        old_archive(&config(&[&base, &top]), &entry(json!(["one/layer.tar", "one/layer.tar"]))),
        old_archive(&good, &json!({})),
        old_archive(&good, &json!([{"Config": "../config.json", "Layers": []}])),
        old_archive(
            &good,
            &json!([{"Config": "config.json", "RepoTags": ["BAD NAME"], "Layers": ["one/layer.tar"]}]),
        ),
        old_archive(&good, &entry(json!(["l"]))).symlink("l", "/etc/passwd"),
        old_archive(&good, &entry(json!(["l"]))).symlink("l", "l"),
        old_archive(&good, &entry(json!(["one/layer.tar"]))).file("../evil", b"x"),
        old_archive(&good, &entry(json!(["one/layer.tar"]))).file("index.json", b"{}"),
        Tar::new().file("something", b"else"),
        Tar::new(),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let fixture = Fixture::new();
        let result = fixture.store.load(&case.finish()[..], &|_| {});
        assert!(result.is_err(), "{number}");
        assert!(fixture.leftovers().is_empty(), "{number}");
        let layers = fixture.root.path().join("overlay/layers");
        let images = fixture.store.images().list();
        // The bad name is only found when its image is in already.
        assert_eq!(fs::read_dir(layers).unwrap().count(), images.len(), "{number}");
    }
}

#[test]
fn a_blob_in_a_layout_that_is_not_what_its_name_says_is_refused() {
    let fixture = Fixture::new();
    let [base, _] = layers();
    fixture.image(&[&base], Some("app"));
    let mut archive = save(&fixture, &["app"]);
    let place = archive.windows(7).position(|window| window == b"ID=test").unwrap();
    archive[place] = b'X';
    let other = Fixture::new();
    assert!(other.store.load(&archive[..], &|_| {}).unwrap_err().is_tampered());
    assert!(other.store.images().list().is_empty());
    assert!(other.leftovers().is_empty());
}

#[test]
fn an_imported_tar_is_an_image_with_one_compressed_layer() {
    let [base, _] = layers();
    let fixture = Fixture::new();
    let import = || Import {
        comment: "Imported from -".to_owned(),
        reference: Some(name("base")),
        ..Import::default()
    };
    let first = fixture.store.import(&base[..], import()).unwrap();
    let second = fixture.store.import(&gzip(&base)[..], import()).unwrap();
    assert_eq!(first.chain, second.chain);
    assert_eq!(first.chain, [Digest::sha256_of(&base)]);
    assert_eq!(second.config.history[0].comment, "Imported from -");
    assert_eq!(second.config.os, "linux");
    assert!(second.config.created.is_some());
    let manifest = |image: &barge_store::Image| -> serde_json::Value {
        serde_json::from_slice(&fixture.store.blobs().read(&image.manifest, MAX_DOCUMENT).unwrap()).unwrap()
    };
    assert_eq!(manifest(&first)["layers"], manifest(&second)["layers"]);
    assert_eq!(manifest(&first)["layers"][0]["mediaType"], media_type::OCI_LAYER_GZIP);
    let empty = Fixture::new();
    assert!(empty.store.import(&b"no tar ".repeat(200)[..], import()).is_err());
    assert_eq!(fs::read_dir(empty.root.path().join("image/blobs/sha256")).unwrap().count(), 0);
    assert!(empty.leftovers().is_empty());
}
