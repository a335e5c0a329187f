//! `push`: what is pushed can be pulled back with the same digest.

use barge_e2e::{Client, Daemon, Protection, Registry, debian_archive};

#[test]
fn pushed_and_pulled_back_is_the_same() {
    let registry = Registry::start(Protection::None);
    for client in Client::BOTH {
        let daemon = Daemon::start();
        let name = format!("{}/round/trip:1", registry.address());
        daemon.docker(&["tag", "busybox", &name]).ok();
        let told = daemon.client(client, &["push", &name]).text();
        let digest = told
            .split("digest: ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .expect("push names the digest")
            .to_owned();
        let id = daemon.inspect(&name, "{{.Id}}");
        daemon.docker(&["rmi", "-f", &id]).ok();
        let pulled = daemon.client(client, &["pull", &name]).text();
        assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}");
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), id);
        let again = daemon.client(client, &["push", &name]).text();
        assert!(again.contains("Layer already exists") && again.contains(&digest), "{again}");
        let remote = barge_e2e::run(
            std::process::Command::new("skopeo").args([
                "inspect",
                "--tls-verify=false",
                "--format",
                "{{.Digest}}",
                &format!("docker://{name}"),
            ]),
            b"",
        );
        assert_eq!(remote.text(), digest);
    }
}

#[test]
fn a_debian_image_from_a_registry_has_a_shell_and_reaches_its_mirror() {
    let registry = Registry::start(Protection::None);
    let daemon = Daemon::start();
    let name = format!("{}/debian:bookworm", registry.address());
    let archive = debian_archive().to_string_lossy().into_owned();
    daemon.barge(&["import", "--change", "CMD [\"bash\"]", &archive, &name]).ok();
    daemon.barge(&["push", &name]).ok();
    daemon.docker(&["rmi", &name]).ok();
    for client in Client::BOTH {
        let script = "cat /etc/debian_version; apt-get update 2>&1 | tail -n 1; dpkg -l | grep -c ^ii";
        let outcome = daemon.client(client, &["run", "--rm", &name, "bash", "-c", script]).text();
        let lines: Vec<&str> = outcome.lines().collect();
        assert!(lines[0].starts_with("12."), "{outcome}");
        assert!(lines[1].contains("Reading package lists"), "{outcome}");
        assert!(lines[2].parse::<u32>().is_ok_and(|count| count > 50), "{outcome}");
    }
}
