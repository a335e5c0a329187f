//! A root made of layers.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bundle::Bundle;

fn layered(bundle: &Bundle, count: usize) -> Value {
    let layer = |number: usize| -> PathBuf { bundle.directory.join(format!("layers/{number:064}/diff")) };
    for number in 0..count {
        fs::create_dir_all(layer(number)).unwrap();
        fs::write(layer(number).join(format!("from-{number}")), number.to_string()).unwrap();
        fs::write(layer(number).join("top"), number.to_string()).unwrap();
    }
    let mut lower: Vec<PathBuf> = (0..count).rev().map(layer).collect();
    lower.push(bundle.rootfs());
    for name in ["upper", "work"] {
        fs::create_dir_all(bundle.directory.join(name)).unwrap();
    }
    json!({"root": {"Overlay": {
        "lower": lower, "upper": bundle.directory.join("upper"), "work": bundle.directory.join("work")
    }}})
}

#[test]
fn layers_are_seen_together_and_changes_go_to_the_upper() {
    let bundle =
        Bundle::shell("cat /top /from-0; echo; echo new > /made; rm /from-1; ls / | grep from | wc -l");
    let root = layered(&bundle, 3);
    assert_eq!(bundle.drive(root).good(), "20\n2\n");
    assert_eq!(fs::read_to_string(bundle.directory.join("upper/made")).unwrap(), "new\n");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&bundle.id), "the host never sees the mount");
}

#[test]
fn a_volatile_root_can_be_mounted_again() {
    let bundle = Bundle::shell("echo x >> /made; cat /made | wc -l; grep -c volatile /proc/self/mountinfo");
    let mut root = layered(&bundle, 1);
    root["root"]["Overlay"]["volatile"] = json!(true);
    assert_eq!(bundle.drive(root.clone()).good(), "1\n1\n");
    assert_eq!(bundle.drive(root).good(), "2\n1\n");
}

#[test]
fn a_hundred_and_twenty_eight_layers_fit() {
    let bundle = Bundle::shell("ls / | grep -c from; cat /top");
    let root = layered(&bundle, 127);
    assert_eq!(bundle.drive(root).good(), "127\n126");
}

#[test]
fn a_missing_layer_is_named_as_an_overlay_failure() {
    let bundle = Bundle::shell("true");
    let mut root = layered(&bundle, 1);
    root["root"]["Overlay"]["lower"][0] = json!("/no/such/layer");
    let error = bundle.drive(root).bad();
    assert!(error.contains("mount overlay root") && error.contains("no such file"), "{error}");
}
