//! What a container finds mounted.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn the_usual_filesystems_are_there_with_their_options() {
    let bundle = Bundle::shell("cat /proc/self/mountinfo");
    let text = bundle.run().good();
    let line = |destination: &str| {
        let found = text.lines().find(|line| line.split(' ').nth(4) == Some(destination));
        found.unwrap_or_else(|| panic!("{destination} is missing in\n{text}")).to_owned()
    };
    for (destination, expected) in [
        ("/proc", "nosuid,nodev,noexec"),
        ("/dev", "size=65536k,mode=755"),
        ("/dev/pts", "gid=5,mode=620,ptmxmode=666"),
        ("/dev/mqueue", "mqueue"),
        ("/dev/shm", "size=65536k"),
        ("/sys", "ro,nosuid,nodev,noexec"),
        ("/sys/fs/cgroup", "ro,nosuid,nodev,noexec"),
    ] {
        assert!(line(destination).contains(expected), "{}", line(destination));
    }
    assert!(!text.contains("shared:"), "nothing propagates to the host:\n{text}");
    // The root of the container's own tree may be seen as the root of the bind, but nothing is mounted there.
    let host = bundle.directory.to_str().unwrap();
    let places = text.lines().filter_map(|line| line.split(' ').nth(4));
    assert_eq!(places.filter(|place| place.starts_with(host)).count(), 0, "the host's tree is gone");
    let roots = text.lines().filter(|line| line.split(' ').nth(4) == Some("/")).count();
    assert_eq!(roots, 1, "the host's root is not hidden below the container's:\n{text}");
}

#[test]
fn binds_are_writable_read_only_or_files() {
    let bundle = Bundle::shell(
        "cat /rw/file && echo new > /rw/made && cat /one/deep/file; \
         touch /ro/x 2>/dev/null && echo written; touch /ro/sub/x 2>/dev/null && echo written below; true",
    );
    let source = bundle.directory.join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("file"), "content\n").unwrap();
    let bundle = bundle.bind(&source, "/rw", &["rw"]).bind(&source, "/ro", &["ro"]).bind(
        &source.join("file"),
        "/one/deep/file",
        &[],
    );
    assert_eq!(bundle.run().good(), "content\ncontent\n");
    assert_eq!(fs::read_to_string(source.join("made")).unwrap(), "new\n");
}

/// A mount below a bound directory: `ro` protects only the top, `rro` all of it.
/// CRIU takes the last one of a group for the one that tells where its master is.
#[test]
fn the_root_is_listed_before_what_is_bound_into_it() {
    let bundle = Bundle::shell("cut -d' ' -f5 /proc/self/mountinfo");
    let source = bundle.directory.join("source");
    fs::create_dir(&source).unwrap();
    let text = bundle.bind(&source, "/bound", &[]).run().good();
    let place = |point: &str| text.lines().position(|line| line == point).unwrap();
    assert!(place("/") < place("/bound"), "{text}");
}

#[test]
fn read_only_reaches_as_far_as_asked() {
    let script = "touch /plain/x 2>/dev/null && echo plain; touch /plain/below/x 2>/dev/null && echo plain below; \
                  touch /whole/x 2>/dev/null && echo whole; touch /whole/below/x 2>/dev/null && echo whole below; true";
    let bundle = Bundle::shell(script);
    let source = bundle.directory.join("source");
    fs::create_dir_all(source.join("below")).unwrap();
    let bundle = bundle.bind(&source, "/plain", &["rbind", "ro"]).bind(&source, "/whole", &["rbind", "rro"]);
    bundle.write();
    // The mount below exists only in a namespace of this test's own.
    let run = format!(
        "mount -t tmpfs tmpfs {}/below && exec {} --root {}/state run -b {} {}",
        source.display(),
        crate::bundle::program().display(),
        bundle.directory.display(),
        bundle.directory.display(),
        bundle.id
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &run]).output().unwrap();
    assert_eq!(crate::bundle::Outcome::of(output).good(), "plain below\n");
}

#[test]
fn a_host_mount_reaches_a_slave_bind_and_no_private_one() {
    let bundle = Bundle::shell(
        "echo x > /private/ready; while [ ! -e /slave/below/mark ]; do sleep 0.05; done; ls /slave/below /private/below",
    );
    let source = bundle.directory.join("source");
    fs::create_dir_all(source.join("below")).unwrap();
    let bundle = bundle.bind(&source, "/slave", &["rbind", "rslave"]).bind(
        &source,
        "/private",
        &["rbind", "rprivate"],
    );
    bundle.write();
    let source = source.display();
    let state = bundle.directory.display();
    let program = crate::bundle::program();
    let run = format!(
        "mount --bind {source} {source} && mount --make-shared {source} && \
         ({} --root {state}/state run -b {state} {} & pid=$!; \
          while [ ! -e {source}/ready ]; do kill -0 $pid || exit 1; sleep 0.05; done; mount -t tmpfs tmpfs {source}/below; touch {source}/below/mark; wait $pid)",
        program.display(),
        bundle.id
    );
    let output = Command::new("unshare").args(["-m", "--propagation", "private", "sh", "-c", &run]).output();
    let text = crate::bundle::Outcome::of(output.unwrap()).good();
    assert_eq!(text, "/private/below:\n\n/slave/below:\nmark\n");
}

#[test]
fn a_containers_mount_reaches_the_host_through_a_shared_bind_only() {
    let bundle = Bundle::shell("mount -t tmpfs tmpfs /shared/below && touch /shared/below/mark && echo done")
        .set("/linux/rootfsPropagation", json!("shared"));
    let source = bundle.directory.join("source");
    fs::create_dir_all(source.join("below")).unwrap();
    let all = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let bundle = bundle
        .bind(&source, "/shared", &["rbind", "rshared"])
        .set("/process/capabilities", json!({"bounding": all, "effective": all, "permitted": all}));
    bundle.write();
    let source = source.display();
    let state = bundle.directory.display();
    let program = crate::bundle::program();
    let run = format!(
        "mount --make-rshared / && mount --bind {source} {source} && mount --make-private {source} && \
         mount --make-shared {source} && before=$(wc -l < /proc/self/mountinfo) && \
         {} --root {state}/state run -b {state} {} && ls {source}/below && \
         echo $(($(wc -l < /proc/self/mountinfo) - before))",
        program.display(),
        bundle.id
    );
    let output = Command::new("unshare").args(["-m", "--propagation", "private", "sh", "-c", &run]).output();
    // One mount more: the container's. Its root and the rest have left no trace.
    assert_eq!(crate::bundle::Outcome::of(output.unwrap()).good(), "done\nmark\n1\n");
}

#[test]
fn tmpfs_options_hold() {
    let bundle =
        Bundle::shell("stat -c %a /t; dd if=/dev/zero of=/t/x bs=1024 count=200 2>/dev/null || echo full")
            .mount(json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs",
                      "options": ["noexec", "nosuid", "nodev", "size=64k", "mode=1770"]}));
    assert_eq!(bundle.run().good(), "1770\nfull\n");
}

#[test]
fn a_read_only_root_has_writable_mounts() {
    let bundle =
        Bundle::shell("touch /x 2>/dev/null && echo root; touch /tmp/x && touch /dev/shm/x && echo mounts")
            .mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}))
            .set("/root/readonly", json!(true))
            .set("/process/cwd", json!("/made/for/this"));
    assert_eq!(bundle.run().good(), "mounts\n");
}

#[test]
fn a_read_only_place_of_devices_has_its_devices() {
    let script = "touch /dev/new 2>/dev/null || echo read-only; echo x > /dev/null && head -c 2 /dev/zero | wc -c; \
                  test -e /dev/pts/ptmx && touch /dev/shm/new && readlink /dev/fd";
    for option in ["ro", "rro"] {
        let bundle = Bundle::shell(script).set("/mounts/1/options", json!(["nosuid", "mode=755", option]));
        assert_eq!(bundle.run().good(), "read-only\n2\n/proc/self/fd\n", "{option}");
    }
}

#[test]
fn masked_paths_are_empty_and_read_only_paths_stay() {
    let script = "cat /proc/keys /proc/kcore | wc -c; ls /sys/firmware /proc/scsi /proc/acpi 2>/dev/null | grep -v :; \
                  echo 1 > /proc/sys/kernel/domainname || echo kept; ls /etc/secret; cat /etc/hidden";
    let bundle = Bundle::shell(script);
    fs::create_dir_all(bundle.rootfs().join("etc/secret")).unwrap();
    fs::write(bundle.rootfs().join("etc/secret/key"), "x").unwrap();
    fs::write(bundle.rootfs().join("etc/hidden"), "x").unwrap();
    let masked = json!([
        "/proc/keys",
        "/proc/kcore",
        "/proc/scsi",
        "/proc/acpi",
        "/sys/firmware",
        "/etc/secret",
        "/etc/hidden",
        "/no/such"
    ]);
    let outcome = bundle.set("/linux/maskedPaths", masked).run();
    assert_eq!(outcome.good().split_whitespace().collect::<Vec<_>>(), ["0", "kept"]);
}

#[test]
fn the_cgroup_view_shows_the_container() {
    for private in [false, true] {
        let mut bundle =
            Bundle::shell("ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs; cat /proc/self/cgroup");
        if private {
            bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
        }
        if !Path::new("/sys/fs/cgroup/pids").exists() {
            return;
        }
        let text = bundle.run().good();
        assert!(text.contains("\nmemory\n") && text.contains("\n1\n"), "{text}");
        let inside = if private { ":pids:/\n" } else { ":pids:/barge-it-" };
        assert!(text.contains(inside), "{text}");
    }
}

#[test]
fn cgroups_are_read_only_whichever_word_says_so() {
    for word in ["ro", "rro"] {
        let bundle = Bundle::shell("grep ' /view' /proc/self/mountinfo")
            .mount(json!({"destination": "/view", "type": "cgroup", "options": ["rw", word]}));
        let text = bundle.run().good();
        let lines: Vec<&str> = text.lines().map(|line| line.split(' ').nth(5).unwrap()).collect();
        assert!(!lines.is_empty() && lines.iter().all(|options| options.starts_with("ro")), "{word}: {text}");
    }
}

#[test]
fn the_source_of_a_bind_starts_at_the_bundle() {
    let bundle = Bundle::shell("cat /data/file");
    std::fs::create_dir(bundle.directory.join("source")).unwrap();
    std::fs::write(bundle.directory.join("source/file"), "volume\n").unwrap();
    assert_eq!(bundle.bind(Path::new("source"), "/data", &[]).run().good(), "volume\n");
}

#[test]
fn an_unbindable_root_can_be_entered() {
    let bundle = Bundle::shell("grep -c unbindable /proc/self/mountinfo")
        .set("/linux/rootfsPropagation", serde_json::json!("unbindable"));
    let count: u32 = bundle.run().good().trim().parse().unwrap();
    assert!(count > 0);
}

#[test]
fn a_relative_read_only_path_starts_at_the_root() {
    let bundle =
        Bundle::shell("touch /tmp/new").set("/linux/readonlyPaths", serde_json::json!(["tmp", "nowhere"]));
    assert!(bundle.run().bad().contains("Read-only"));
    let bundle = Bundle::shell("touch /dev/new && touch /new").set("/linux/readonlyPaths", json!(["/"]));
    assert!(bundle.run().bad().contains("/new: Read-only"), "the root is one too");
}

/// Where the directory of the root is shared on the host, in a mount namespace of this test's own.
fn run_where_shared(bundle: &Bundle, meanwhile: &str) -> String {
    bundle.write();
    let directory = bundle.directory.display();
    let run = format!(
        "mount --bind {directory} {directory} && mount --make-shared {directory} && \
         ({} --root {directory}/state run -b {directory} {} & pid=$!; {meanwhile} wait $pid)",
        crate::bundle::program().display(),
        bundle.id
    );
    let output = Command::new("unshare").args(["-m", "--propagation", "private", "sh", "-c", &run]).output();
    crate::bundle::Outcome::of(output.unwrap()).good()
}

#[test]
fn the_root_is_propagated_as_asked() {
    for (wanted, tag) in [
        ("private", "-"),
        ("rprivate", "-"),
        ("slave", "master:"),
        ("rslave", "master:"),
        ("shared", "shared:"),
        ("unbindable", "unbindable"),
    ] {
        let script = "grep '/rootfs / ' /proc/self/mountinfo | cut -d ' ' -f 7";
        let bundle = Bundle::shell(script).set("/linux/rootfsPropagation", json!(wanted));
        let text = run_where_shared(&bundle, "");
        assert!(text.starts_with(tag), "{wanted}: {text}");
    }
}

#[test]
fn a_mount_of_the_host_below_the_root_reaches_a_slave() {
    let script = "echo x > /ready; while [ ! -e /home/mark ]; do sleep 0.05; done; echo seen";
    let bundle = Bundle::shell(script).set("/linux/rootfsPropagation", json!("rslave"));
    let root = bundle.rootfs();
    let root = root.display();
    let mount = format!(
        "while [ ! -e {root}/ready ]; do kill -0 $pid || exit 1; sleep 0.05; done; mount -t tmpfs tmpfs {root}/home; touch {root}/home/mark;"
    );
    assert_eq!(run_where_shared(&bundle, &mount), "seen\n");
}
