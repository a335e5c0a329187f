//! A daemon on another machine: over TLS with certificates of both sides, and through ssh.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use barge_e2e::{Client, Daemon, Options, binary, run};
use tempfile::TempDir;

/// Two authorities, a certificate of the server, and for each authority one of a client.
fn certificates() -> TempDir {
    let directory = TempDir::new().expect("make a directory");
    let script = "
        for ca in own foreign; do
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem
            openssl req -newkey rsa:2048 -nodes -subj /CN=me -keyout $ca-client.key -out $ca-client.csr
            openssl x509 -req -in $ca-client.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -days 2 \
                -extfile <(echo extendedKeyUsage=clientAuth) -out $ca-client.pem
        done
        openssl req -newkey rsa:2048 -nodes -subj /CN=daemon -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA own.pem -CAkey own.key -CAcreateserial -days 2 \
            -extfile <(printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n') -out server.pem";
    let output = Command::new("bash")
        .args(["-ec", script])
        .current_dir(directory.path())
        .output()
        .expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn file(directory: &Path, name: &str) -> String {
    directory.join(name).to_string_lossy().into_owned()
}

#[test]
fn over_tls_both_sides_prove_who_they_are() {
    let keys = certificates();
    let keys = keys.path();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("find a port");
    let address = format!("tcp://{free}");
    let flag = |name: &str, value: &str| format!("--{name}={}", file(keys, value));
    let daemon = Daemon::with(Options {
        flags: vec![
            format!("--host={address}"),
            "--tlsverify".into(),
            flag("tlscacert", "own.pem"),
            flag("tlscert", "server.pem"),
            flag("tlskey", "server.key"),
        ],
        ..Options::default()
    });
    let call = |client, authority: &str, user: Option<&str>, arguments: &[&str], input: &[u8]| {
        let mut words = vec!["--host".into(), address.clone(), "--tlsverify".into()];
        words.push(flag("tlscacert", &format!("{authority}.pem")));
        if let Some(user) = user {
            words.push(flag("tlscert", &format!("{user}-client.pem")));
            words.push(flag("tlskey", &format!("{user}-client.key")));
        }
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Given both, the flag has to agree with the environment.
        run(daemon.command(client, &words).env_remove("DOCKER_HOST"), input)
    };
    for client in Client::BOTH {
        let version = ["version", "--format", "{{.Server.Version}}"];
        assert!(!call(client, "own", Some("own"), &version, b"").text().is_empty());
        // The end of the input has to arrive while the output still comes.
        let echo = ["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo end"];
        assert_eq!(call(client, "own", Some("own"), &echo, b"line\n").text(), "line\nend");
        for (authority, user) in [("own", None), ("own", Some("foreign")), ("foreign", Some("own"))] {
            let refused = call(client, authority, user, &version, b"");
            assert_ne!(refused.code, 0, "{client:?} {authority} {user:?}: {}", refused.stdout);
        }
    }
}

/// Stands in for the other machine: what `ssh` would run there runs here, with `far` first in its PATH.
fn ssh(directory: &Path, socket: &str) {
    let far = directory.join("far");
    let script = format!(
        "#!/bin/sh\n\
         echo \"$*\" >>{calls}\n\
         while [ \"$1\" != -- ]; do shift; done\n\
         shift 2\n\
         export PATH={far}:/usr/local/bin:/usr/bin:/bin DOCKER_HOST={socket}\n\
         exec sh -c \"$*\"\n",
        calls = directory.join("calls").display(),
        far = far.display(),
    );
    std::fs::create_dir_all(far).expect("make a directory");
    std::fs::write(directory.join("ssh"), script).expect("write the script");
    std::fs::set_permissions(directory.join("ssh"), PermissionsExt::from_mode(0o755)).expect("make it run");
}

#[test]
fn through_ssh_the_far_side_may_be_docker_or_barge() {
    let daemon = Daemon::start();
    let directory = TempDir::new().expect("make a directory");
    ssh(directory.path(), &daemon.host());
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").expect("there is a PATH"));
    let through = |client, arguments: &[&str], input: &[u8]| {
        let words = [&["--host", "ssh://me@far:2222"], arguments].concat();
        run(daemon.command(client, &words).env("PATH", &path).env_remove("DOCKER_HOST"), input)
    };
    for far in Client::BOTH {
        if far == Client::Barge {
            symlink(binary(), directory.path().join("far/docker")).expect("name it docker");
        }
        for near in Client::BOTH {
            let images = through(near, &["images", "--format", "{{.Repository}}"], b"").text();
            assert_eq!(images, "busybox", "{near:?} to {far:?}");
            let echo = ["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo end"];
            assert_eq!(through(near, &echo, b"line\n").text(), "line\nend", "{near:?} to {far:?}");
        }
    }
    let calls = std::fs::read_to_string(directory.path().join("calls")).expect("ssh was called");
    assert!(calls.lines().all(|call| call.contains("2222")), "{calls}");
}
