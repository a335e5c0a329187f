//! `import`, `images`, `tag`, `inspect`, `save`, `load`, `rmi`.

use barge_e2e::{Client, Daemon};

#[test]
fn images_are_tagged_listed_and_removed() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon.client(client, &["tag", "busybox", "example.org/team/box:v1"]).ok();
        let listed = daemon.client(client, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).text();
        assert!(listed.contains("busybox:latest") && listed.contains("example.org/team/box:v1"), "{listed}");
        let table = daemon.client(client, &["images"]).text();
        assert!(table.starts_with("REPOSITORY"), "{table}");
        let ids = daemon.client(client, &["images", "-q", "--no-trunc"]).text();
        assert!(ids.lines().all(|id| id.starts_with("sha256:") && id.len() == 71), "{ids}");
        assert_eq!(
            daemon.client(client, &["rmi", "example.org/team/box:v1"]).text(),
            "Untagged: example.org/team/box:v1"
        );
    }
    assert_eq!(
        daemon.docker(&["inspect", "--format", "{{.Os}} {{json .Config.Cmd}}", "busybox"]).text(),
        "linux [\"sh\"]"
    );
}

#[test]
fn an_image_in_use_is_not_removed() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    for client in Client::BOTH {
        daemon
            .client(client, &["rmi", "busybox"])
            .fails(1, "conflict: unable to remove repository reference \"busybox\" (must force)");
    }
    daemon.docker(&["rm", "-f", "box"]).ok();
    let removed = daemon.docker(&["rmi", "busybox"]).text();
    assert!(
        removed.contains("Untagged: busybox:latest") && removed.contains("Deleted: sha256:"),
        "{removed}"
    );
    assert_eq!(daemon.docker(&["images", "-q"]).text(), "");
    let layers = daemon.path("data").join("overlay/layers");
    assert_eq!(
        std::fs::read_dir(layers).expect("list layers").count(),
        0,
        "the layers are gone from the disk"
    );
}

#[test]
fn save_and_load_keep_the_image() {
    let daemon = Daemon::start();
    let other = Daemon::with(barge_e2e::Options { empty: true, ..Default::default() });
    let id = daemon.inspect("busybox", "{{.Id}}");
    for client in Client::BOTH {
        let archive = daemon.path("saved.tar").to_string_lossy().into_owned();
        daemon.client(client, &["save", "-o", &archive, "busybox"]).ok();
        let loaded = other.client(client, &["load", "-i", &archive]).text();
        assert!(loaded.contains("Loaded image: busybox:latest"), "{loaded}");
        assert_eq!(other.inspect("busybox", "{{.Id}}"), id);
        assert_eq!(other.client(client, &["run", "--rm", "busybox", "echo", "loaded"]).text(), "loaded");
        other.docker(&["rmi", "busybox"]).ok();
    }
    daemon.with_input(Client::Docker, &["load"], b"this is no archive").fails(1, "");
}

#[test]
fn a_saved_image_is_read_by_skopeo() {
    let daemon = Daemon::start();
    let archive = daemon.path("saved.tar").to_string_lossy().into_owned();
    daemon.barge(&["save", "-o", &archive, "busybox"]).ok();
    let inspected = barge_e2e::run(
        std::process::Command::new("skopeo").args([
            "inspect",
            "--config",
            &format!("docker-archive:{archive}"),
        ]),
        b"",
    )
    .text();
    assert!(inspected.contains("\"os\": \"linux\""), "{inspected}");
    let oci = daemon.path("data").join("image");
    let listed = std::fs::read_to_string(oci.join("index.json")).expect("the store is an OCI layout");
    assert!(listed.contains("schemaVersion"));
}

#[test]
fn the_builtin_image_needs_no_registry() {
    let daemon = Daemon::with(barge_e2e::Options { empty: true, ..Default::default() });
    for client in Client::BOTH {
        let greeting = daemon.client(client, &["run", "--rm", "barge/hello"]).text();
        assert!(greeting.contains("Hello from Barge"), "{greeting}");
    }
}

#[test]
fn import_applies_changes_and_refuses_nonsense() {
    let daemon = Daemon::start();
    let archive = barge_e2e::busybox_archive().to_string_lossy().into_owned();
    for client in Client::BOTH {
        daemon
            .client(
                client,
                &[
                    "import",
                    "--change",
                    "ENV A=b",
                    "--change",
                    "WORKDIR /tmp",
                    "--change",
                    "ENTRYPOINT [\"sh\",\"-c\"]",
                    "--change",
                    "CMD [\"echo $A $PWD\"]",
                    &archive,
                    "made:1",
                ],
            )
            .ok();
        assert_eq!(daemon.client(client, &["run", "--rm", "made:1"]).text(), "b /tmp");
        daemon.client(client, &["import", "--change", "FLY away", &archive]).fails(1, "FLY");
    }
}
