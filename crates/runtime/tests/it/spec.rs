//! The config.json that the runtime writes itself.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[test]
fn what_it_writes_runs() {
    let bundle = Bundle::shell("true");
    let place = bundle.directory.join("made");
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink(bundle.rootfs(), place.join("rootfs")).unwrap();
    let place = place.to_str().unwrap();
    bundle.command(&["spec", "--bundle", place]).good();
    let file = format!("{place}/config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(spec["process"]["args"], json!(["sh"]));
    assert_eq!(spec["process"]["terminal"], true);
    spec["process"]["args"] = json!(["sh", "-c", "echo ran"]);
    spec["process"]["terminal"] = json!(false);
    // Limits above those of the host's own session can't be given everywhere.
    spec["process"]["rlimits"] = json!([]);
    spec["linux"]["cgroupsPath"] = json!(format!("/barge-{}", bundle.id));
    fs::write(&file, spec.to_string()).unwrap();
    assert_eq!(bundle.command(&["run", "--bundle", place, &bundle.id]).good(), "ran\n");
}

#[test]
fn nobodys_work_is_overwritten() {
    let bundle = Bundle::shell("true");
    bundle.write();
    let place = bundle.directory.to_str().unwrap();
    let refused = bundle.command(&["spec", "--bundle", place]).bad();
    assert!(refused.contains("File config.json exists. Remove it first"), "{refused}");
}
