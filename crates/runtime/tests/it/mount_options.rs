//! Options of mounts beyond the usual ones: copied contents, mapped ids, flags of whole filesystems.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome, program};

/// Runs the bundle in a mount namespace of its own after a shell command has prepared it.
fn run_after(bundle: &Bundle, prepare: &str) -> Outcome {
    bundle.write();
    let directory = bundle.directory.display();
    let run = format!(
        "{prepare} && exec {} --root {directory}/state run -b {directory} {}",
        program().display(),
        bundle.id
    );
    Outcome::of(Command::new("unshare").args(["-m", "sh", "-c", &run]).output().unwrap())
}

fn mapping(host: u32) -> Value {
    json!([{"containerID": 0, "hostID": host, "size": 1000}])
}

#[test]
fn a_tmpfs_has_the_mode_and_on_request_the_contents_of_what_it_hides() {
    let script = "stat -c %a:%u:%g /hidden /hidden/deep /hidden/deep/file; cat /hidden/deep/file; \
                  readlink /hidden/link; touch /hidden/x 2>/dev/null || echo read-only; ls -a /other | wc -l";
    let tmpfs = |destination: &str, options: Value| json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options});
    let bundle = Bundle::shell(script)
        .mount(tmpfs("/hidden", json!(["tmpcopyup", "ro"])))
        .mount(tmpfs("/other", json!([])));
    let hidden = bundle.rootfs().join("hidden");
    fs::create_dir_all(hidden.join("deep")).unwrap();
    fs::create_dir_all(bundle.rootfs().join("other/gone")).unwrap();
    fs::write(hidden.join("deep/file"), "content\n").unwrap();
    symlink("/etc/passwd", hidden.join("link")).unwrap();
    fs::set_permissions(hidden.join("deep/file"), PermissionsExt::from_mode(0o640)).unwrap();
    fs::set_permissions(&hidden, PermissionsExt::from_mode(0o711)).unwrap();
    chown(hidden.join("deep"), Some(7), Some(8)).unwrap();
    assert_eq!(bundle.run().good(), "711:0:0\n755:7:8\n640:0:0\ncontent\n/etc/passwd\nread-only\n2\n");
}

#[test]
fn flags_of_a_filesystem_are_its_own() {
    let bundle = Bundle::shell("grep ' /flags ' /proc/self/mountinfo; grep ' /bound ' /proc/self/mountinfo | wc -l")
        .mount(json!({"destination": "/flags", "type": "tmpfs", "source": "tmpfs",
                      "options": ["sync", "dirsync", "lazytime", "nosymfollow", "noatime", "silent", "iversion"]}));
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    let bundle = bundle.bind(&source, "/bound", &["sync", "rnorelatime", "loud"]);
    let text = bundle.run().good();
    for word in ["sync", "dirsync", "lazytime", "nosymfollow", "noatime"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(text.ends_with("\n1\n"), "{text}");
}

#[test]
fn attributes_reach_the_tree_and_can_be_taken_back_below() {
    let bundle = Bundle::shell("grep ' /tree' /proc/self/mountinfo");
    let source = bundle.directory.join("source");
    fs::create_dir_all(source.join("below")).unwrap();
    let options =
        ["rbind", "rnosuid", "rnodev", "rnoexec", "rnodiratime", "rnosymfollow", "rstrictatime", "exec"];
    let bundle = bundle.bind(&source, "/tree", &options);
    let text = run_after(&bundle, &format!("mount -t tmpfs tmpfs {}/below", source.display())).good();
    let lines: Vec<&str> = text.lines().map(|line| line.split(' ').nth(5).unwrap()).collect();
    assert_eq!(
        lines,
        ["rw,nosuid,nodev,nodiratime,nosymfollow", "rw,nosuid,nodev,noexec,nodiratime,nosymfollow"]
    );
}

/// Linux 6.3 taught tmpfs to be mounted with mapped ids. The reason of a skip is not captured.
fn tmpfs_maps_ids() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let new = (numbers.next(), numbers.next()) >= (Some(6), Some(3));
    if !new {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: id-mapped mounts of tmpfs need Linux 6.3\n",
        );
    }
    new
}

#[test]
fn ids_of_a_bind_are_mapped_by_its_own_mapping() {
    if !tmpfs_maps_ids() {
        return;
    }
    let bundle = Bundle::shell("stat -c %u:%g /top/file /tree/below/file");
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    let mount = |destination: &str, word: &str| {
        json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", word],
               "uidMappings": mapping(5000), "gidMappings": mapping(6000)})
    };
    let bundle = bundle.mount(mount("/top", "idmap")).mount(mount("/tree", "ridmap"));
    let source = source.display();
    let prepare = format!(
        "mount -t tmpfs tmpfs {source} && mkdir {source}/below && mount -t tmpfs tmpfs {source}/below && \
         touch {source}/file {source}/below/file && chown 3:4 {source}/file {source}/below/file && chmod 777 {source}"
    );
    assert_eq!(run_after(&bundle, &prepare).good(), "5003:6004\n5003:6004\n");
}

#[test]
fn ids_of_a_bind_are_mapped_by_the_containers_mapping() {
    if !tmpfs_maps_ids() {
        return;
    }
    let mut bundle = Bundle::shell("stat -c %u:%g /data/file && touch /data/made && stat -c %u /data/made");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let bundle =
        bundle.set("/linux/uidMappings", mapping(100_000)).set("/linux/gidMappings", mapping(100_000));
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    // The root directory is not the mapped root's.
    fs::create_dir(bundle.rootfs().join("data")).unwrap();
    let bundle = bundle.bind(&source, "/data", &["idmap"]);
    let source = source.display();
    let prepare = format!(
        "mount -t tmpfs tmpfs {source} && touch {source}/file && chown 3:4 {source}/file && chmod 700 {source}"
    );
    assert_eq!(run_after(&bundle, &prepare).good(), "3:4\n0\n");
}

#[test]
fn mappings_that_can_not_be_are_refused_with_their_reason() {
    let bundle = Bundle::shell("true");
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    let alone = Bundle::shell("true").bind(&source, "/data", &["idmap"]);
    assert!(alone.run().bad().contains("user namespace"));
    let proc = json!({"destination": "/data", "type": "bind", "source": "/proc/sys", "options": ["bind", "idmap"],
                      "uidMappings": mapping(5000), "gidMappings": mapping(5000)});
    let error = bundle.mount(proc).run().bad();
    assert!(error.contains("failed to set MOUNT_ATTR_IDMAP on /proc/sys: invalid argument"), "{error}");
}

/// Root of a user namespace may not enter the host's closed directories, but a volume in one is the caller's wish.
#[test]
fn a_bind_below_a_closed_directory_works_in_a_user_namespace() {
    let mut bundle =
        Bundle::shell("cat /data/file; ls /sys/kernel | grep -c '^mm$'; echo x > /dev/null && echo device");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let bundle =
        bundle.set("/linux/uidMappings", mapping(100_000)).set("/linux/gidMappings", mapping(100_000));
    let closed = bundle.directory.join("closed");
    fs::create_dir_all(closed.join("source")).unwrap();
    fs::create_dir(bundle.rootfs().join("data")).unwrap();
    fs::write(closed.join("source/file"), "seen\n").unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let mut bundle = bundle.bind(&closed.join("source"), "/data", &[]);
    let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    // Without a network namespace of its own the container gets the host's sysfs.
    assert_eq!(bundle.run().good(), "seen\n1\ndevice\n");
    assert_eq!(fs::metadata(&closed).unwrap().uid(), 0);
}

#[test]
fn what_is_mounted_can_be_mounted_again_with_other_options() {
    let script = "grep -E ' (/dev/shm|/data) ' /proc/self/mountinfo | cut -d ' ' -f 5,6; \
                  dd if=/dev/zero of=/dev/shm/x bs=1024 count=200 2>/dev/null || echo full";
    let bundle = Bundle::shell(script);
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    let bundle = bundle
        .bind(&source, "/data", &[])
        .mount(
            json!({"destination": "/dev/shm", "type": "tmpfs", "options": ["remount", "exec", "size=64k"]}),
        )
        .mount(
            json!({"destination": "/data", "type": "none", "options": ["remount", "bind", "ro", "nosuid"]}),
        );
    let text = bundle.run().good();
    assert!(text.contains("/dev/shm rw,nosuid,nodev,relatime\n"), "{text}");
    assert!(text.contains("/data ro,nosuid") && text.ends_with("full\n"), "{text}");
    let missing = Bundle::shell("true").mount(json!({"destination": "/tmp", "options": ["remount", "ro"]}));
    assert!(missing.run().bad().contains("invalid argument"), "nothing is mounted there");
}

/// More layers than fit into one option of fsconfig(2), which has 256 bytes.
#[test]
fn an_overlay_takes_many_layers_and_its_own_options() {
    let bundle =
        Bundle::shell("cat /data/0 /data/9; touch /data/made; grep -c redirect_dir=on /proc/self/mountinfo");
    let base = bundle.directory.join("layers-of-one-overlay-with-a-name-that-is-long");
    let lower: Vec<String> = (0..10)
        .map(|number| {
            let layer = base.join(number.to_string());
            fs::create_dir_all(&layer).unwrap();
            fs::write(layer.join(number.to_string()), format!("layer {number}\n")).unwrap();
            layer.display().to_string()
        })
        .collect();
    for name in ["upper", "work"] {
        fs::create_dir_all(base.join(name)).unwrap();
    }
    let options = json!([
        format!("lowerdir={}", lower.join(":")),
        format!("upperdir={}", base.join("upper").display()),
        format!("workdir={}", base.join("work").display()),
        "redirect_dir=on",
        "metacopy=on",
        "nodev"
    ]);
    let bundle = bundle
        .mount(json!({"destination": "/data", "type": "overlay", "source": "overlay", "options": options}));
    assert_eq!(bundle.run().good(), "layer 0\nlayer 9\n1\n");
    assert!(base.join("upper/made").exists());
}
