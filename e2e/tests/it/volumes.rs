//! `volume` and what containers do with volumes.

use barge_e2e::{Client, Daemon};

#[test]
fn volumes_keep_data_between_containers() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        assert_eq!(daemon.client(client, &["volume", "create", "--label", "a=b", "data"]).text(), "data");
        daemon
            .client(client, &["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept >/d/file"])
            .ok();
        assert_eq!(
            daemon
                .client(
                    client,
                    &[
                        "run",
                        "--rm",
                        "--mount",
                        "source=data,target=/e,readonly",
                        "busybox",
                        "cat",
                        "/e/file"
                    ]
                )
                .text(),
            "kept"
        );
        let listed = daemon.client(client, &["volume", "ls", "--format", "{{.Driver}} {{.Name}}"]).text();
        assert_eq!(listed, "local data");
        let mountpoint = daemon
            .client(client, &["volume", "inspect", "--format", "{{.Mountpoint}} {{.Labels.a}}", "data"])
            .text();
        assert_eq!(mountpoint, format!("{} b", daemon.path("data").join("volumes/data/_data").display()));
        daemon.docker(&["create", "--name", "user", "-v", "data:/d", "busybox"]).ok();
        daemon.client(client, &["volume", "rm", "data"]).fails(1, "volume is in use");
        daemon.docker(&["rm", "user"]).ok();
        assert_eq!(daemon.client(client, &["volume", "rm", "data"]).text(), "data");
        daemon.client(client, &["volume", "create", "../escape"]).fails(1, "includes invalid characters");
    }
}

#[test]
fn a_new_volume_starts_with_the_images_content() {
    let daemon = Daemon::start();
    for (client, name) in [(Client::Docker, "one"), (Client::Barge, "two")] {
        let volume = format!("{name}:/etc");
        assert_eq!(
            daemon
                .client(
                    client,
                    &["run", "--rm", "-v", &volume, "busybox", "grep", "-c", "www-data", "/etc/passwd"]
                )
                .text(),
            "1"
        );
        let mount = format!("type=volume,source={name}-bare,target=/etc,volume-nocopy");
        daemon
            .client(client, &["run", "--rm", "--mount", &mount, "busybox", "test", "-e", "/etc/passwd"])
            .fails(1, "");
    }
}

#[test]
fn anonymous_volumes_go_with_rm() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "--rm", "-v", "/anonymous", "busybox", "true"]).ok();
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).text(), "");
    daemon.docker(&["run", "--name", "box", "-v", "/anonymous", "busybox", "true"]).ok();
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).text().len(), 64);
    daemon.barge(&["rm", "-v", "box"]).ok();
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).text(), "");
}
