//! Root filesystems and specifications that try to get out.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

#[test]
fn links_at_mount_destinations_stay_inside() {
    let bundle = Bundle::shell("cat /outside/mark");
    let outside = bundle.directory.join("outside");
    let source = bundle.directory.join("source");
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("mark"), "inside\n").unwrap();
    symlink(&outside, bundle.rootfs().join("absolute")).unwrap();
    symlink("../../../../../../../../../../outside", bundle.rootfs().join("relative")).unwrap();
    let text = bundle.bind(&source, "/relative", &[]);
    assert_eq!(text.run().good(), "inside\n");
    let text = text.bind(&source, "/absolute/made", &[]);
    text.run().good();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made on the host");
}

#[test]
fn dot_dot_in_a_destination_is_refused() {
    let bundle = Bundle::shell("true").bind("/etc".as_ref(), "/x/../../../etc", &[]);
    assert!(bundle.run().bad().contains("contains .."));
}

#[test]
fn proc_must_be_an_ordinary_directory() {
    for kind in ["proc", "sys"] {
        let bundle = Bundle::shell("true");
        fs::remove_dir(bundle.rootfs().join(kind)).unwrap();
        symlink("/etc", bundle.rootfs().join(kind)).unwrap();
        let error = bundle.run().bad();
        assert!(error.contains("must be mounted on ordinary directory"), "{error}");
    }
}

#[test]
fn nothing_is_mounted_inside_proc() {
    let bundle = Bundle::shell("true");
    symlink("/proc/sys", bundle.rootfs().join("way")).unwrap();
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    for destination in ["/proc", "/proc/sys", "/proc/self/attr", "/way", "/way/kernel"] {
        let bundle = Bundle::shell("true");
        symlink("/proc/sys", bundle.rootfs().join("way")).unwrap();
        let error = bundle.bind(&source, destination, &[]).run().bad();
        assert!(error.contains("inside /proc"), "{destination}: {error}");
    }
    let tmpfs = Bundle::shell("true").mount(json!({"destination": "/proc/fs", "type": "tmpfs"}));
    assert!(tmpfs.run().bad().contains("inside /proc"));
    let uptime = Bundle::shell("cat /proc/uptime");
    let file = uptime.directory.join("uptime");
    fs::write(&file, "1.00 1.00\n").unwrap();
    assert_eq!(uptime.bind(&file, "/proc/uptime", &[]).run().good(), "1.00 1.00\n");
}

#[test]
fn a_masked_path_behind_a_link_is_masked_where_it_leads() {
    let bundle =
        Bundle::shell("cat /real/secret | wc -c").set("/linux/maskedPaths", json!(["/alias/secret"]));
    fs::create_dir(bundle.rootfs().join("real")).unwrap();
    fs::write(bundle.rootfs().join("real/secret"), "xyz").unwrap();
    symlink("real", bundle.rootfs().join("alias")).unwrap();
    assert_eq!(bundle.run().good(), "0\n");
}

#[test]
fn only_the_three_streams_reach_the_program() {
    let bundle = Bundle::shell("ls /proc/self/fd | sort | head -20");
    bundle.write();
    // The caller leaks a descriptor of a host directory on purpose.
    let run = format!(
        "exec 7</etc; exec {} --root {}/state run -b {} {}",
        program().display(),
        bundle.directory.display(),
        bundle.directory.display(),
        bundle.id
    );
    let output = Command::new("sh").args(["-c", &run]).output().unwrap();
    // The fourth is the directory that ls itself reads.
    assert_eq!(Outcome::of(output).good(), "0\n1\n2\n3\n");
}

/// CVE-2024-21626: a working directory behind a leaked descriptor.
#[test]
fn a_working_directory_outside_is_refused() {
    for directory in ["/proc/self/fd/7", "/proc/self/fd/7/../..", "/proc/1/fd/19", "/link"] {
        let bundle = Bundle::shell("pwd; ls").set("/process/cwd", json!(directory));
        symlink("/proc/self/fd/7", bundle.rootfs().join("link")).unwrap();
        bundle.write();
        let run = format!(
            "exec 7</etc; exec {} --root {}/state run -b {} {}",
            program().display(),
            bundle.directory.display(),
            bundle.directory.display(),
            bundle.id
        );
        let outcome = Outcome::of(Command::new("sh").args(["-c", &run]).output().unwrap());
        assert_ne!(outcome.code, 0, "{directory}: {outcome:?}");
        assert!(!outcome.stdout.contains("passwd"), "{directory}: {outcome:?}");
    }
}

/// CVE-2019-5736: a container whose program is the runtime's own file, and one that gets hold of it and writes.
#[test]
fn the_runtimes_file_can_not_be_written_from_inside() {
    let before = fs::metadata(program()).unwrap();
    let bundle = Bundle::new(&["/proc/self/exe", "features"]);
    // Whatever it does, it does as a container's process.
    let _ = bundle.run();
    // In subshells: a failed redirection of `exec` ends the shell.
    let script = "while true; do for p in /proc/[0-9]*; do \
                    case $(readlink $p/exe) in */busybox) continue;; esac; \
                    (exec 9<$p/exe && echo found >> /tmp/seen && \
                     (echo evil > /proc/self/fd/9) && echo written >> /tmp/seen) 2>/dev/null; \
                  done; done";
    let bundle = Bundle::shell(script);
    bundle.start();
    for _ in 0..10 {
        bundle.exec(&["true"]).good();
    }
    let seen = fs::read_to_string(bundle.rootfs().join("tmp/seen")).unwrap_or_default();
    assert!(!seen.contains("written"), "{seen}");
    let after = fs::metadata(program()).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
}

#[test]
fn the_container_can_not_look_into_a_process_on_its_way_in() {
    // With ptrace even: the file is on a read-only mount then.
    let script = "while true; do for p in /proc/[0-9]*; do \
                    case $(readlink $p/exe) in */busybox|'') ;; *) (echo evil > $p/exe) 2>&1;; esac; done; done > /tmp/seen 2>&1";
    let mut bundle = Bundle::shell(script);
    for set in ["bounding", "effective", "permitted"] {
        bundle.spec["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_PTRACE"));
    }
    let before = fs::metadata(program()).unwrap().modified().unwrap();
    bundle.start();
    for _ in 0..10 {
        bundle.exec(&["true"]).good();
    }
    assert_eq!(fs::metadata(program()).unwrap().modified().unwrap(), before);
}

#[test]
fn hostile_account_files_are_errors_not_hangs() {
    for make in ["mkfifo", "mkdir"] {
        let bundle = Bundle::shell("id -u");
        let passwd = bundle.rootfs().join("etc/passwd");
        fs::remove_file(&passwd).unwrap();
        assert!(Command::new(make).arg(&passwd).status().unwrap().success());
        let error = bundle.drive(json!({"user": "app"})).bad();
        assert!(error.contains("/etc/passwd"), "{make}: {error}");
    }
    // A link to the host's file leads to the container's own, which is not there.
    let bundle = Bundle::shell("id -u");
    fs::remove_file(bundle.rootfs().join("etc/passwd")).unwrap();
    symlink("../../../../../../../../etc/shadow-", bundle.rootfs().join("etc/passwd")).unwrap();
    let error = bundle.drive(json!({"user": "app"})).bad();
    assert!(error.contains("unable to find user app"), "{error}");
}

#[test]
fn the_image_can_not_redirect_devices() {
    let bundle = Bundle::shell("echo x > /dev/null; stat -c '%F %t:%T' /dev/null; readlink /dev/ptmx");
    let text = bundle.run().good();
    assert_eq!(text, "character special file 1:3\npts/ptmx\n");
}
