//! The walks of containers that are saved and brought back.

use std::fs;
use std::process::Command;

use super::containers::{lasting, status};
use super::verbs::{OF_RUNNING, Verb, running};
use super::walks::{Kind, walk, walks};
use crate::bundle::Bundle;
use crate::checkpoint::{checkpoint_command, images, restore_command, usable};

const CHECKPOINT: Verb = Verb {
    before: |bundle| {
        forget_images(bundle);
        running(bundle);
    },
    command: |bundle| checkpoint_command(bundle, &[]),
    success: |bundle, told| {
        assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"), "{}", told.words);
        is_restored(bundle);
    },
    ..OF_RUNNING
};

const CHECKPOINT_LEAVING_RUNNING: Verb = Verb {
    command: |bundle| checkpoint_command(bundle, &["--leave-running"]),
    success: |bundle, told| {
        assert_eq!(status(bundle), "running", "{}", told.words);
        assert!(images(bundle).join("pstree.img").exists(), "{}", told.words);
    },
    ..CHECKPOINT
};

const RESTORE: Verb = Verb {
    bundle: saved,
    before: |_| {},
    command: restored,
    success: |bundle, told| assert_eq!(status(bundle), "running", "{}", told.words),
    ..OF_RUNNING
};

fn saved() -> Bundle {
    let bundle = lasting();
    running(&bundle);
    let output = checkpoint_command(&bundle, &[]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    bundle
}

fn forget_images(bundle: &Bundle) {
    // There are none at first.
    let _ = fs::remove_dir_all(images(bundle));
}

fn restored(bundle: &Bundle) -> Command {
    let mut command = restore_command(bundle, &["--detach"]);
    command.arg(&bundle.id);
    command
}

fn is_restored(bundle: &Bundle) {
    let output = fs::File::options().append(true).create(true).open(bundle.directory.join("output")).unwrap();
    let streams = output.try_clone().unwrap();
    assert!(
        restored(bundle).stdout(streams).stderr(output).status().unwrap().success(),
        "{}",
        bundle.output()
    );
    assert_eq!(status(bundle), "running");
}

walks! { usable(), self:
    checkpoint_dies: CHECKPOINT, RuntimeDies;
    checkpoint_fails: CHECKPOINT, RuntimeFails;
    checkpoint_fails_leaving_running: CHECKPOINT_LEAVING_RUNNING, RuntimeFails;
    the_init_dies_before_checkpoint: CHECKPOINT, InitDies;
    restore_dies: RESTORE, RuntimeDies;
    restore_fails: RESTORE, RuntimeFails;
}
