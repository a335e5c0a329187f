//! Images by name and id, and what goes when they go.

use crate::support::{Fixture, Tar};
use barge_oci::{Digest, Reference};
use barge_store::Error;
use std::time::Duration;

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).finish()
}

fn name(text: &str) -> Reference {
    Reference::parse_normalized(text).unwrap()
}

#[test]
fn an_image_is_found_by_name_and_id_also_after_a_restart() {
    let fixture = Fixture::new();
    let image = fixture.image(&[&layer("a")], Some("busybox"));
    fixture.store.images().add_digest(&image.id, &name("busybox"), &image.manifest).unwrap();
    let fixture = fixture.reopen();
    let hex = image.id.0.hex();
    let by_digest = format!("busybox@{}", image.manifest);
    let names = ["busybox", "docker.io/library/busybox:latest", &hex, &hex[..12], &hex[..1], &by_digest];
    for text in names.into_iter().chain([&*image.id.to_string(), &format!("sha256:{}", &hex[..7])]) {
        let found = fixture.store.images().resolve(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found.id, image.id);
        assert_eq!(found.tags, [name("busybox")]);
        assert_eq!(found.repo_digests, std::slice::from_ref(&by_digest));
        assert_eq!(found.size, 1);
    }
    for text in ["nope", "busybox:1", &Digest::sha256_of(b"").to_string()] {
        let error = fixture.store.images().resolve(text).unwrap_err();
        assert!(matches!(error, Error::ImageNotFound { .. }), "{error}");
    }
    let error = fixture.store.images().resolve("nope").unwrap_err();
    assert_eq!(error.to_string(), "No such image: nope:latest");
    assert!(matches!(fixture.store.images().resolve("NOPE"), Err(Error::Oci(_))));
}

#[test]
fn a_name_before_an_id_and_an_ambiguous_id_is_refused() {
    let fixture = Fixture::new();
    let images: Vec<_> = (0..17).map(|number| fixture.image(&[&layer(&number.to_string())], None)).collect();
    let short = images[3].id.0.hex()[..6].to_owned();
    fixture.store.images().tag(&images[5].id, &name(&short)).unwrap();
    assert_eq!(fixture.store.images().resolve(&short).unwrap().id, images[5].id);
    // Seventeen ids begin with sixteen digits.
    let ambiguous = "0123456789abcdef".chars().any(|digit| {
        matches!(fixture.store.images().resolve(&digit.to_string()), Err(Error::ImageAmbiguous { .. }))
    });
    assert!(ambiguous);
}

#[test]
fn a_tag_moves_and_leaves_the_image_dangling() {
    let fixture = Fixture::new();
    let first = fixture.image(&[&layer("a")], Some("app"));
    let second = fixture.image(&[&layer("b")], Some("app"));
    let images = fixture.store.images();
    assert_eq!(images.resolve("app").unwrap().id, second.id);
    assert!(images.find(&first.id).unwrap().tags.is_empty());
    images.tag(&first.id, &name("old:1")).unwrap();
    assert_eq!(images.untag(&name("old:1")).unwrap().id, first.id);
    assert!(matches!(images.untag(&name("old:1")), Err(Error::ImageNotFound { .. })));
    assert_eq!(images.list().len(), 2);
    assert_eq!(fixture.reopen().store.images().list().len(), 2);
}

#[test]
fn removal_takes_what_only_that_image_used() {
    let fixture = Fixture::new();
    let (base, top) = (layer("base"), layer("top"));
    let first = fixture.image(&[&base], Some("base"));
    let second = fixture.image(&[&base, &top], Some("app"));
    fixture.store.images().set_parent(&second.id, &first.id).unwrap();
    assert_eq!(fixture.store.images().children(&first.id), [second.id]);
    let removed = fixture.store.images().remove(&second.id).unwrap();
    assert_eq!(removed.untagged, [name("app")]);
    assert_eq!(removed.layers, [second.chain[1]]);
    let (blobs, layers) = (fixture.store.blobs(), fixture.store.layers());
    assert!(blobs.contains(&Digest::sha256_of(&base)) && layers.contains(&second.chain[0]));
    assert!(!blobs.contains(&Digest::sha256_of(&top)) && !layers.contains(&second.chain[1]));
    assert!(!blobs.contains(&second.manifest) && !blobs.contains(&second.config_digest));
    assert!(fixture.store.images().children(&first.id).is_empty());
    fixture.store.images().remove(&first.id).unwrap();
    assert!(std::fs::read_dir(fixture.root.path().join("image/blobs/sha256")).unwrap().next().is_none());
    assert!(std::fs::read_dir(fixture.root.path().join("overlay/layers")).unwrap().next().is_none());
    assert!(fixture.leftovers().is_empty());
}

#[test]
fn a_container_keeps_its_layers_when_its_image_goes() {
    let fixture = Fixture::new();
    let image = fixture.image(&[&layer("a")], Some("app"));
    fixture.store.snapshots().prepare("c1", &image.chain).unwrap();
    assert!(fixture.store.images().remove(&image.id).unwrap().layers.is_empty());
    let fixture = fixture.reopen();
    assert!(fixture.store.layers().contains(&image.chain[0]));
    fixture.store.snapshots().remove("c1").unwrap();
    assert!(!fixture.store.layers().contains(&image.chain[0]));
}

#[test]
fn a_lease_keeps_what_was_removed_meanwhile() {
    let fixture = Fixture::new();
    let image = fixture.image(&[&layer("a")], Some("app"));
    let lease = fixture.store.lease();
    fixture.store.images().remove(&image.id).unwrap();
    assert!(fixture.store.blobs().contains(&image.manifest));
    fixture.store.images().record(&image.manifest, Some(&name("again")), None).unwrap();
    drop(lease);
    assert_eq!(fixture.store.images().resolve("again").unwrap().id, image.id);
    let lease = fixture.store.lease();
    fixture.store.images().remove(&image.id).unwrap();
    drop(lease);
    assert!(!fixture.store.blobs().contains(&image.manifest));
    assert!(!fixture.store.layers().contains(&image.chain[0]));
}

#[test]
fn orphans_go_when_they_are_old_enough() {
    let fixture = Fixture::new();
    let orphan = fixture.store.blobs().put(b"orphan").unwrap();
    fixture.apply(&[&layer("a")]).unwrap();
    let fixture = fixture.reopen();
    assert!(fixture.store.blobs().contains(&orphan));
    let reclaimed = fixture.store.collect_garbage(Duration::from_secs(3600)).unwrap();
    assert!(reclaimed.blobs.is_empty());
    let reclaimed = fixture.store.collect_garbage(Duration::ZERO).unwrap();
    assert_eq!((reclaimed.blobs, reclaimed.layers.len()), (vec![orphan], 1));
}

#[test]
fn what_is_incomplete_is_not_recorded() {
    let fixture = Fixture::new();
    let image = fixture.image(&[&layer("a")], None);
    let bytes = fixture.store.blobs().read(&image.manifest, 10_000).unwrap();
    fixture.store.images().remove(&image.id).unwrap();
    let manifest = fixture.store.blobs().put(&bytes).unwrap();
    let error = fixture.store.images().record(&manifest, Some(&name("broken")), None).unwrap_err();
    assert!(matches!(error, Error::BlobNotFound { .. }), "{error}");
    assert!(fixture.store.images().list().is_empty());
}

#[test]
fn layers_that_a_power_cut_may_have_damaged_are_extracted_again() {
    let fixture = Fixture::new();
    let image = fixture.image(&[&layer("a")], Some("app"));
    let directory = fixture.root.path().join("overlay/layers").join(image.chain[0].hex());
    let document = directory.join("layer.json");
    let text = std::fs::read_to_string(&document).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()));
    std::fs::write(&document, text.replace(boot.trim(), "another")).unwrap();
    std::fs::write(directory.join("diff/a"), "").unwrap();
    let fixture = fixture.reopen();
    assert_eq!(std::fs::read_to_string(directory.join("diff/a")).unwrap(), "a");
    std::fs::remove_dir_all(&directory).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.images().resolve("app").unwrap().id, image.id);
    assert_eq!(std::fs::read_to_string(directory.join("diff/a")).unwrap(), "a");
}

#[test]
fn a_store_is_opened_once() {
    let fixture = Fixture::new();
    let error = barge_store::Store::open(fixture.root.path()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    fixture.reopen();
}
