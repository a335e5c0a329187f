//! `pull`: from real registries, whole or interrupted.

use barge_e2e::{Client, Daemon, Options, Protection, Registry, wait_until};

/// Puts the busybox image into a registry through a daemon, and returns its name there.
fn seeded(daemon: &Daemon, registry: &Registry) -> String {
    let name = format!("{}/team/busybox:1", registry.address());
    daemon.docker(&["tag", "busybox", &name]).ok();
    daemon.docker(&["push", &name]).ok();
    name
}

fn empty() -> Daemon {
    Daemon::with(Options { empty: true, ..Options::default() })
}

#[test]
fn pull_by_tag_and_by_digest() {
    let registry = Registry::start(Protection::None);
    let source = Daemon::start();
    let name = seeded(&source, &registry);
    for client in Client::BOTH {
        let daemon = empty();
        let told = daemon.client(client, &["pull", &name]).text();
        assert!(
            told.contains("Pull complete")
                && told.contains(&format!("Status: Downloaded newer image for {name}")),
            "{told}"
        );
        assert!(daemon.client(client, &["pull", &name]).text().contains("Status: Image is up to date for"));
        let digest = daemon.inspect(&name, "{{index .RepoDigests 0}}");
        assert_eq!(daemon.client(client, &["run", "--rm", &name, "echo", "pulled"]).text(), "pulled");
        daemon.docker(&["rmi", &name]).ok();
        daemon.client(client, &["pull", "-q", &digest]).ok();
        assert_eq!(daemon.client(client, &["run", "--rm", &digest, "echo", "by digest"]).text(), "by digest");
    }
}

#[test]
fn run_pulls_what_is_missing() {
    let registry = Registry::start(Protection::None);
    let name = seeded(&Daemon::start(), &registry);
    for client in Client::BOTH {
        let daemon = empty();
        let outcome = daemon.client(client, &["run", "--rm", &name, "echo", "hello"]);
        assert_eq!(outcome.text(), "hello");
        assert!(
            outcome.stderr.contains(&format!("Unable to find image '{name}' locally")),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn pull_over_tls_with_a_private_authority() {
    let daemon = empty();
    let registry = Registry::at(&daemon.gateway(), Protection::Tls);
    let insecure =
        Daemon::with(Options { flags: vec!["--insecure-registry".into(), registry.address()], empty: false });
    let name = seeded(&insecure, &registry);
    daemon.docker(&["pull", &name]).fails(1, "certificate");
    let certificates = std::path::Path::new("/etc/docker/certs.d").join(registry.address());
    std::fs::create_dir_all(&certificates).expect("make the directory");
    std::fs::copy(registry.authority(), certificates.join("ca.crt")).expect("copy the certificate");
    let trusted = daemon.docker(&["pull", &name]);
    std::fs::remove_dir_all(&certificates).expect("remove the directory");
    trusted.ok();
    assert_eq!(daemon.docker(&["run", "--rm", &name, "echo", "trusted"]).text(), "trusted");
}

#[test]
fn pull_with_a_password() {
    let registry = Registry::start(Protection::Password);
    let daemon = Daemon::start();
    let name = format!("{}/private/box:1", registry.address());
    daemon.docker(&["tag", "busybox", &name]).ok();
    daemon.docker(&["push", &name]).fails(1, "no basic auth credentials");
    daemon
        .with_input(
            Client::Docker,
            &["login", "-u", "alice", "--password-stdin", &registry.address()],
            b"secret",
        )
        .ok();
    daemon.docker(&["push", &name]).ok();
    daemon.docker(&["rmi", &name]).ok();
    for client in Client::BOTH {
        daemon.client(client, &["pull", &name]).ok();
        daemon.docker(&["rmi", &name]).ok();
    }
}

#[test]
fn what_is_not_there_is_named() {
    let registry = Registry::start(Protection::None);
    let daemon = Daemon::start();
    seeded(&daemon, &registry);
    for client in Client::BOTH {
        daemon
            .client(client, &["pull", &format!("{}/team/busybox:2", registry.address())])
            .fails(1, "manifest unknown");
        daemon
            .client(client, &["pull", &format!("{}/team/nothing", registry.address())])
            .fails(1, "not found");
        daemon.client(client, &["pull", "localhost:1/gone"]).fails(1, "connection refused");
        daemon.client(
            client,
            &["pull", "--platform", "linux/s390x", &format!("{}/team/busybox:1", registry.address())],
        );
    }
}

#[test]
fn a_pull_cut_by_killing_the_daemon_goes_on_where_it_was() {
    let registry = Registry::start(Protection::None);
    let source = Daemon::start();
    // Bytes that don't shrink, so that the download takes a while.
    source.docker(&["run", "--name", "big", "busybox", "true"]).ok();
    let blob = source.path("blob");
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            &format!(
                "mkdir {0} && head -c 150000000 /dev/urandom >{0}/random && tar -C {0} -cf {0}.tar .",
                blob.display()
            ),
        ])
        .status()
        .expect("make the archive");
    assert!(status.success());
    let name = format!("{}/big:1", registry.address());
    source.docker(&["import", &format!("{}.tar", blob.display()), &name]).ok();
    source.docker(&["push", &name]).ok();

    let mut daemon = Daemon::start();
    let mut pulling = daemon
        .command(Client::Docker, &["pull", &name])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("pull");
    let ingest = daemon.path("data").join("image/ingest");
    let arrived = || -> u64 {
        std::fs::read_dir(&ingest)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|file| file.metadata().ok())
            .map(|file| file.len())
            .sum()
    };
    wait_until("a part has arrived", || arrived() > 10_000_000);
    daemon.kill();
    let _ = pulling.wait();
    let kept = arrived();
    assert!(kept > 10_000_000, "the part is kept");
    daemon.launch();
    assert!(!daemon.docker(&["images", "-q"]).text().is_empty(), "the other image is still there");
    daemon.docker(&["image", "inspect", &name]).fails(1, "No such image");
    daemon.docker(&["pull", &name]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "-v", "/x", "busybox", "true"]).code, 0);
    assert_eq!(arrived(), 0, "nothing is left of the partial download");
}
