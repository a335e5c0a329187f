//! Hooks of all six kinds: order, place, state, environment, time, and what becomes of the container when one fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A hook that runs a script of the host's shell.
fn hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]})
}

/// Shell that appends a word to the bundle's log.
fn say(bundle: &Bundle, word: &str) -> String {
    format!("echo {word} >> {}", log(bundle).display())
}

fn log(bundle: &Bundle) -> PathBuf {
    bundle.directory.join("log")
}

fn words(bundle: &Bundle) -> String {
    let text = fs::read_to_string(log(bundle)).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn create(bundle: &Bundle) -> (bool, String) {
    bundle.write();
    let output = fs::File::create(bundle.directory.join("output")).unwrap();
    let mut command = bundle.runtime(&["create", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
    let status = command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
    (status.success(), bundle.output())
}

fn state(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.command(&["state", &bundle.id]).good()).unwrap()
}

fn await_stop(bundle: &Bundle) {
    await_that("the container's end", || state(bundle)["status"] == "stopped");
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_gone(bundle: &Bundle) -> bool {
    let state = bundle.command(&["state", &bundle.id]);
    state.code != 0 && state.stderr.contains("does not exist") && !bundle.cgroup("pids").exists()
}

fn named_after_points(bundle: Bundle) -> Bundle {
    let mut bundle = bundle.set("/hooks", json!({}));
    for point in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        let one = hook(&say(&bundle, &format!("{point}-1")));
        let two = hook(&say(&bundle, &format!("{point}-2")));
        bundle = bundle.set(&format!("/hooks/{point}"), json!([one, two]));
    }
    // Its path and what it writes to are the container's.
    let inside = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer >> /shared/log"]});
    let directory = bundle.directory.clone();
    bundle.set("/hooks/startContainer", json!([inside])).bind(&directory, "/shared", &[])
}

const CREATED: &str =
    "prestart-1 prestart-2 createRuntime-1 createRuntime-2 createContainer-1 createContainer-2";

#[test]
fn hooks_run_in_order_at_their_points_of_create_start_and_delete() {
    let bundle = named_after_points(Bundle::shell("echo program >> /shared/log; sleep 1000"));
    let (good, output) = create(&bundle);
    assert!(good, "{output}");
    assert_eq!(words(&bundle), CREATED);
    bundle.command(&["start", &bundle.id]).good();
    // The program and the poststart hooks run at the same time.
    await_that("program", || words(&bundle).contains("program"));
    let all = words(&bundle);
    let rest: Vec<&str> = all.strip_prefix(CREATED).unwrap().split_whitespace().collect();
    assert_eq!(rest[0], "startContainer");
    let hooks: Vec<&str> = rest.iter().copied().filter(|word| *word != "program").collect();
    assert_eq!(hooks, ["startContainer", "poststart-1", "poststart-2"]);
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    await_stop(&bundle);
    assert!(!words(&bundle).contains("poststop"), "only `delete` runs them");
    bundle.command(&["delete", &bundle.id]).good();
    assert!(words(&bundle).ends_with("poststop-1 poststop-2"));
}

#[test]
fn run_runs_them_all() {
    let bundle = named_after_points(Bundle::shell("true"));
    bundle.run().good();
    let expected = format!("{CREATED} startContainer poststart-1 poststart-2 poststop-1 poststop-2");
    assert_eq!(words(&bundle), expected);
}

#[test]
fn run_detached_leaves_poststop_to_delete() {
    let bundle = named_after_points(Bundle::shell("true"));
    bundle.start();
    await_stop(&bundle);
    assert!(words(&bundle).ends_with("poststart-1 poststart-2"));
    bundle.command(&["delete", &bundle.id]).good();
    assert!(words(&bundle).ends_with("poststop-1 poststop-2"));
}

#[test]
fn the_state_is_on_standard_input() {
    let bundle = Bundle::shell("sleep 1000").set("/annotations", json!({"org.example.key": "value"}));
    let directory = bundle.directory.clone();
    let keep = |point: &str| hook(&format!("cat > {}/{point}", directory.display()));
    let inside = json!({"path": "/bin/sh", "args": ["sh", "-c", "cat > /shared/startContainer"]});
    let bundle = bundle
        .bind(&directory, "/shared", &[])
        .set("/hooks/prestart", json!([keep("prestart")]))
        .set("/hooks/createRuntime", json!([keep("createRuntime")]))
        .set("/hooks/createContainer", json!([keep("createContainer")]))
        .set("/hooks/startContainer", json!([inside]))
        .set("/hooks/poststart", json!([keep("poststart")]))
        .set("/hooks/poststop", json!([keep("poststop")]));
    assert!(create(&bundle).0, "{}", bundle.output());
    let pid = state(&bundle)["pid"].clone();
    bundle.command(&["start", &bundle.id]).good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    for (point, status, pid) in [
        ("prestart", "created", pid.clone()),
        ("createRuntime", "created", pid.clone()),
        ("createContainer", "created", json!(1)),
        ("startContainer", "created", json!(1)),
        ("poststart", "running", pid),
        ("poststop", "stopped", Value::Null),
    ] {
        let told: Value = serde_json::from_slice(&fs::read(directory.join(point)).unwrap()).unwrap();
        assert_eq!(told["ociVersion"], bundle.spec["ociVersion"], "{point}");
        assert_eq!(told["id"], bundle.id, "{point}");
        assert_eq!(told["status"], status, "{point}");
        assert_eq!(told["pid"], pid, "{point}");
        assert_eq!(told["bundle"], directory.to_str().unwrap(), "{point}");
        assert_eq!(told["annotations"]["org.example.key"], "value", "{point}");
    }
}

#[test]
fn each_has_its_namespaces_and_working_directory() {
    let bundle = Bundle::shell("sleep 1000");
    let directory = bundle.directory.clone();
    // Which namespaces, and where; the id of the working directory's file is the same in every namespace.
    let tell = |place: &Path, point: &str| {
        let place = place.display();
        format!(
            "{{ readlink /proc/self/ns/mnt; readlink /proc/self/ns/net; stat -c %d:%i .; }} > {place}/{point}"
        )
    };
    let inside = tell(Path::new("/shared"), "startContainer");
    let bundle = bundle
        .bind(&directory, "/shared", &[])
        .set("/hooks/createRuntime", json!([hook(&tell(&directory, "createRuntime"))]))
        .set("/hooks/createContainer", json!([hook(&tell(&directory, "createContainer"))]))
        .set("/hooks/startContainer", json!([{"path": "/bin/sh", "args": ["sh", "-c", inside]}]))
        .set("/hooks/poststart", json!([hook(&tell(&directory, "poststart"))]))
        .set("/hooks/poststop", json!([hook(&tell(&directory, "poststop"))]));
    assert!(create(&bundle).0, "{}", bundle.output());
    let pid = state(&bundle)["pid"].as_i64().unwrap();
    let namespace = |pid: &str, kind: &str| {
        fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().to_str().unwrap().to_owned()
    };
    let pid = pid.to_string();
    let theirs = [namespace(&pid, "mnt"), namespace(&pid, "net")];
    let ours = [namespace("self", "mnt"), namespace("self", "net")];
    bundle.command(&["start", &bundle.id]).good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    let file = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(path).unwrap();
        format!("{}:{}", meta.dev(), meta.ino())
    };
    let root = bundle.rootfs();
    for (point, namespaces, place) in [
        ("createRuntime", &ours, &directory),
        ("createContainer", &theirs, &root),
        ("startContainer", &theirs, &root),
        ("poststart", &ours, &directory),
        ("poststop", &ours, &directory),
    ] {
        let told = fs::read_to_string(directory.join(point)).unwrap();
        let told: Vec<&str> = told.lines().collect();
        assert_eq!(told[..2], namespaces[..], "{point}");
        assert_eq!(told[2], file(place), "{point}");
    }
}

#[test]
fn create_container_hooks_find_the_mounted_root_at_its_path_on_the_host() {
    let bundle = Bundle::shell("cat /tmp/made");
    let rootfs = bundle.rootfs();
    let bundle = bundle.mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})).set(
        "/hooks/createContainer",
        json!([hook(&format!("echo by hook > {}/tmp/made", rootfs.display()))]),
    );
    assert_eq!(bundle.run().good(), "by hook\n");
    assert!(!rootfs.join("tmp/made").exists(), "it went into the container's own tmpfs");
}

#[test]
fn arguments_and_environment_are_exactly_those_of_the_hook() {
    let bundle = Bundle::shell("true");
    let file = |name: &str| bundle.directory.join(name).display().to_string();
    let program = "/bin/busybox";
    let show = |name: &str| format!("tr '\\0' '|' < /proc/$$/environ > {0}; echo $0 $@ >> {0}", file(name));
    let given = json!({
        "path": program, "args": ["sh", "-c", show("given"), "zero", "one", "two"],
        "env": ["SECOND=2", "FIRST=1", "odd"]
    });
    let empty = json!({"path": program, "args": ["sh", "-c", show("empty")], "env": []});
    let absent = json!({"path": program, "args": ["sh", "-c", show("absent")]});
    let (one, two, three) = (file("given"), file("empty"), file("absent"));
    let bundle = bundle.set("/hooks/createRuntime", json!([given, empty, absent]));
    bundle.write();
    let mut run = bundle.runtime(&["run", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
    assert!(run.env_clear().envs([("PATH", "/bin"), ("CALLER", "7")]).status().unwrap().success());
    assert_eq!(fs::read_to_string(one).unwrap(), "SECOND=2|FIRST=1|odd|zero one two\n");
    assert_eq!(fs::read_to_string(two).unwrap(), "sh\n");
    // Only one that says nothing of it has the caller's, as with runc and crun.
    let absent = fs::read_to_string(three).unwrap();
    assert!(absent.contains("CALLER=7|") && absent.ends_with("|sh\n"), "{absent}");
}

#[test]
fn a_failed_hook_of_create_takes_everything_down_and_runs_poststop() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let bundle = Bundle::shell("true");
        let failing = hook("echo out; echo reason >&2; exit 3");
        let (skipped, after) = (hook(&say(&bundle, "second")), hook(&say(&bundle, "poststop")));
        let bundle = bundle
            .set(&format!("/hooks/{point}"), json!([failing, skipped]))
            .set("/hooks/poststop", json!([after]));
        let (good, output) = create(&bundle);
        assert!(!good, "{point}");
        assert!(
            output.contains(&format!("error running {point} hook #0: exit status 3, stderr: reason")),
            "{output}"
        );
        assert!(is_gone(&bundle), "{point}");
        assert_eq!(words(&bundle), "poststop", "{point}");
    }
}

/// What the hooks have made (a network, say) is theirs to remove, whatever it is that fails after them.
#[test]
fn what_fails_after_the_hooks_of_create_runs_poststop() {
    for (args, flags) in [("/no/such/program", &[][..]), ("true", &["--pid-file", "/no/such/directory/pid"])]
    {
        let bundle = Bundle::new(&[args]);
        let (made, removed) = (hook(&say(&bundle, "made")), hook(&say(&bundle, "removed")));
        let bundle =
            bundle.set("/hooks/createRuntime", json!([made])).set("/hooks/poststop", json!([removed]));
        bundle.write();
        let place = bundle.directory.to_str().unwrap();
        bundle.command(&[&["create", "--bundle", place], flags, &[bundle.id.as_str()]].concat()).bad();
        assert_eq!(words(&bundle), "made removed", "{args}");
        assert!(is_gone(&bundle), "{args}");
    }
    let bundle = Bundle::new(&["true"]);
    let removed = hook(&say(&bundle, "removed"));
    let bundle = bundle.set("/hooks/poststop", json!([removed])).set("/mounts/1/type", json!("nonsense"));
    assert!(!create(&bundle).0);
    assert_eq!(words(&bundle), "", "nothing was made");
}

#[test]
fn a_failed_hook_of_start_stops_the_container() {
    let bundle = Bundle::shell("echo program");
    let failing = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo reason >&2; exit 3"]});
    let after = hook(&say(&bundle, "poststop"));
    let bundle = bundle.set("/hooks/startContainer", json!([failing])).set("/hooks/poststop", json!([after]));
    assert!(create(&bundle).0, "{}", bundle.output());
    let error = bundle.command(&["start", &bundle.id]).bad();
    assert!(error.contains("error running startContainer hook #0: exit status 3, stderr: reason"), "{error}");
    await_stop(&bundle);
    assert_eq!(bundle.output(), "");
    assert_eq!(words(&bundle), "");
    bundle.command(&["delete", &bundle.id]).good();
    assert_eq!(words(&bundle), "poststop");
    assert!(is_gone(&bundle));
    // `run` deletes what it has created itself.
    let error = bundle.run().bad();
    assert!(error.contains("startContainer hook #0"), "{error}");
    assert_eq!(words(&bundle), "poststop poststop");
    assert!(is_gone(&bundle));
}

#[test]
fn a_failed_poststart_hook_stops_the_container() {
    let bundle = Bundle::shell("sleep 1000");
    let (skipped, after) = (hook(&say(&bundle, "second")), hook(&say(&bundle, "poststop")));
    let bundle = bundle
        .set("/hooks/poststart", json!([hook("exit 3"), skipped]))
        .set("/hooks/poststop", json!([after]));
    assert!(create(&bundle).0, "{}", bundle.output());
    let error = bundle.command(&["start", &bundle.id]).bad();
    assert!(error.contains("error running poststart hook #0: exit status 3"), "{error}");
    await_stop(&bundle);
    bundle.command(&["delete", &bundle.id]).good();
    assert_eq!(words(&bundle), "poststop");
    assert!(bundle.run().bad().contains("poststart hook #0"));
    assert!(is_gone(&bundle));
    assert_eq!(words(&bundle), "poststop poststop");
}

#[test]
fn a_failed_poststop_hook_is_a_warning() {
    let bundle = Bundle::shell("exit 4");
    let list = json!([hook("exit 3"), hook(&say(&bundle, "second"))]);
    let bundle = bundle.set("/hooks/poststop", list);
    let outcome = bundle.run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(outcome.stderr.contains("error running poststop hook #0: exit status 3"), "{outcome:?}");
    assert_eq!(words(&bundle), "second");
    assert!(is_gone(&bundle));
}

#[test]
fn a_hook_out_of_time_ends_with_its_children() {
    let bundle = Bundle::shell("true");
    let children = bundle.directory.join("children");
    let script = format!("sleep 100000 & echo $! > {}; wait", children.display());
    let mut slow = hook(&script);
    slow["timeout"] = json!(2);
    let bundle = bundle.set("/hooks/createRuntime", json!([slow]));
    let error = bundle.run().bad();
    assert!(error.contains("did not end within its timeout of 2 s"), "{error}");
    // On a very busy machine the time may be over before there is a child.
    if let Ok(child) = fs::read_to_string(&children).unwrap_or_default().trim().parse::<u32>() {
        await_that("end of the hook's child", || {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
        });
    }
    assert!(is_gone(&bundle));
}

#[test]
fn what_hooks_print_neither_blocks_nor_shows() {
    let bundle = Bundle::shell("echo program");
    let noise = "i=0; while [ $i -lt 40 ]; do printf '%8192d' 1; printf '%8192d' 1 >&2; i=$((i+1)); done";
    let silent = hook(noise);
    let failing = hook(&format!("printf 'bad\\033[2J\\n'  >&2; {noise}; exit 1"));
    let bundle =
        bundle.set("/hooks/createRuntime", json!([silent])).set("/hooks/poststart", json!([failing]));
    let outcome = bundle.run();
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("stderr: bad [2J"), "{:?}", outcome.stderr);
    assert!(outcome.stderr.len() < 4096 && !outcome.stderr.contains('\u{1b}'));
}

#[test]
fn a_hook_may_leave_its_input_unread_and_a_child_behind() {
    let big = "x".repeat(300_000);
    let bundle = Bundle::shell("echo program").set("/annotations", json!({"big": big}));
    let child = bundle.directory.join("child");
    let script = format!("sleep 100000 & echo $! > {}", child.display());
    let bundle = bundle.set("/hooks/prestart", json!([hook("exec <&-; true"), hook(&script)]));
    let outcome = bundle.run();
    let pid: i32 = fs::read_to_string(child).unwrap().trim().parse().unwrap();
    barge_sys::process::kill(pid, 9).unwrap();
    assert_eq!(outcome.good(), "program\n");
}

#[test]
fn hooks_inherit_no_descriptor() {
    let bundle = Bundle::shell("true");
    let (host, inside) = (bundle.directory.join("host"), bundle.directory.join("inside"));
    let list = |file: &Path| hook(&format!("cd /proc/self/fd && echo * > {}", file.display()));
    let start =
        json!({"path": "/bin/sh", "args": ["sh", "-c", "cd /proc/self/fd && echo * > /shared/start"]});
    let directory = bundle.directory.clone();
    let bundle = bundle
        .bind(&directory, "/shared", &[])
        .set("/hooks/createRuntime", json!([list(&host)]))
        .set("/hooks/createContainer", json!([list(&inside)]))
        .set("/hooks/startContainer", json!([start]));
    bundle.write();
    // Descriptor 7 is inherited by the runtime and open over every exec.
    let runtime = crate::bundle::program();
    let status = std::process::Command::new("sh")
        .args(["-c", "exec 7</dev/null; exec \"$@\"", "sh"])
        .arg(runtime)
        .arg("--root")
        .arg(directory.join("state"))
        .args(["run", "--bundle", directory.to_str().unwrap(), &bundle.id])
        .status()
        .unwrap();
    assert!(status.success());
    for file in [host, inside, directory.join("start")] {
        let text = fs::read_to_string(&file).unwrap();
        let numbers: Vec<i32> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        // The shell itself has 3 for the listing, and perhaps some from 10 on.
        assert!(
            numbers.contains(&0) && !numbers.iter().any(|n| (4..10).contains(n)),
            "{file:?}: {numbers:?}"
        );
    }
}

#[test]
fn start_container_hooks_run_as_the_process_does() {
    let bundle = Bundle::shell("true");
    let directory = bundle.directory.clone();
    fs::create_dir(directory.join("open")).unwrap();
    rustix::fs::chmod(directory.join("open"), rustix::fs::Mode::from_raw_mode(0o777)).unwrap();
    let script = "id -u > /open/id; grep CapEff /proc/self/status >> /open/id";
    let bundle = bundle
        .bind(&directory.join("open"), "/open", &[])
        .set("/process/user", json!({"uid": 1234, "gid": 1234}))
        .set(
            "/hooks/startContainer",
            json!([{
                "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]
            }]),
        );
    bundle.run().good();
    let text = fs::read_to_string(directory.join("open/id")).unwrap();
    assert_eq!(text, "1234\nCapEff:\t0000000000000000\n");
}

#[test]
fn bad_hooks_are_refused_before_anything_is_made() {
    for (bad, reason) in [
        (json!({"path": "bin/true"}), "is not absolute"),
        (json!({"path": "/bin/true", "timeout": 0}), "not greater than zero"),
    ] {
        let bundle = Bundle::shell("true").set("/hooks/poststop", json!([bad]));
        let (good, output) = create(&bundle);
        assert!(!good && output.contains(reason), "{output}");
        assert!(is_gone(&bundle));
    }
    let bundle = Bundle::shell("true").set("/hooks/createRuntime", json!([{"path": "/nope"}]));
    let error = bundle.run().bad();
    assert!(error.contains("exec /nope: No such file or directory"), "{error}");
    assert!(is_gone(&bundle));
}

#[test]
fn the_library_runs_them_too() {
    let bundle = Bundle::shell("echo program");
    let one = hook(&say(&bundle, "createRuntime"));
    let two = hook(&say(&bundle, "poststart"));
    let bundle = bundle.set("/hooks/createRuntime", json!([one])).set("/hooks/poststart", json!([two]));
    assert_eq!(bundle.drive(json!({})).good(), "program\n");
    assert_eq!(words(&bundle), "createRuntime poststart");
}
