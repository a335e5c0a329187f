//! What is kept of a container below `--root`: names that lead elsewhere, records of others, numbers of processes that
//! have come to mean somebody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[test]
fn names_are_names() {
    let bundle = Bundle::shell("true");
    bundle.write();
    let place = bundle.directory.to_str().unwrap();
    let long = "x".repeat(5000);
    fs::create_dir_all(bundle.directory.join("state")).unwrap();
    for id in ["..", ".", "../victim", "a/b", "/etc", "a\nb", "a b", "", "ü", &long] {
        for verb in ["create", "state", "delete", "kill", "start", "exec", "pause", "update"] {
            let outcome = match verb {
                "create" => bundle.command(&[verb, "-b", place, id]),
                "exec" => bundle.command(&[verb, id, "true"]),
                _ => bundle.command(&[verb, id]),
            };
            assert_ne!(outcome.code, 0, "{verb} {id:.20}");
        }
        // Forced, what is not there is no error; a name that is none is.
        let forced = bundle.command(&["delete", "--force", id]);
        assert!(forced.code != 0 || id == long, "{id:.20}");
    }
    assert_eq!(fs::read_dir(bundle.directory.join("state")).unwrap().count(), 0);
    assert!(bundle.directory.join("config.json").exists());
}

#[test]
fn nobody_else_writes_or_reads_the_record() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let state = bundle.directory.join("state");
    let own = state.join(&bundle.id);
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o022, 0);
    let attempt = format!(
        "cat {0}/state.json || echo x > {0}/state.json || rm -f {0}/state.json || touch {1}/new",
        own.display(),
        state.display()
    );
    let other = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", &attempt])
        .output()
        .unwrap();
    assert!(!other.status.success() && other.stdout.is_empty(), "{other:?}");
}

/// A process of this test, to be spared.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives the container's number to another process, as the kernel does when the container has ended long ago.
#[test]
fn a_process_that_has_the_number_now_is_left_alone() {
    let mut bystander = Bystander::new();
    // The kernel tells times of birth apart by ticks: what has the same number later was not born in the same one.
    std::thread::sleep(Duration::from_millis(50));
    let bundle = Bundle::shell("sleep 100");
    let pid = bundle.start();
    let file = bundle.directory.join("state").join(&bundle.id).join("state.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["pid"] = json!(bystander.0.id());
    fs::write(&file, record.to_string()).unwrap();
    assert!(bundle.command(&["state", &bundle.id]).good().contains("\"stopped\""));
    for args in [
        vec!["kill", &bundle.id, "KILL"],
        vec!["exec", &bundle.id, "true"],
        vec!["start", &bundle.id],
        vec!["pause", &bundle.id],
    ] {
        let outcome = bundle.command(&args);
        assert_ne!(outcome.code, 0, "{args:?}: {outcome:?}");
        assert!(bystander.is_alive(), "{args:?}");
    }
    record["pid"] = json!(pid);
    fs::write(&file, record.to_string()).unwrap();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(bystander.is_alive());
}
