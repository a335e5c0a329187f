//! The walks of containers whose cgroups systemd makes.

use super::containers::{brief, furnished, lasting, status};
use super::verbs::{self, Verb};
use super::walks::{Kind, walk, walks};
use crate::bundle::Bundle;
use crate::systemd::{booted, in_scope, value};

const CREATE: Verb = Verb { bundle: scoped, ..verbs::CREATE };

const RUN: Verb = Verb { bundle: || written(brief()), ..verbs::RUN };

const RUN_FURNISHED: Verb = Verb { bundle: || written(furnished()), ..verbs::RUN_FURNISHED };

const EXEC: Verb = Verb { bundle: scoped, ..verbs::EXEC };

const DELETE_BY_FORCE: Verb = Verb { bundle: scoped, ..verbs::DELETE_BY_FORCE };

const UPDATE: Verb = Verb {
    bundle: scoped,
    success: |bundle, _| {
        assert_eq!(value(bundle, "pids.max"), "77");
        assert_eq!(status(bundle), "running");
    },
    ..verbs::UPDATE
};

fn scoped() -> Bundle {
    written(lasting())
}

fn written(bundle: Bundle) -> Bundle {
    let bundle = in_scope(bundle);
    bundle.write();
    bundle
}

walks! { booted(), self:
    create_dies: CREATE, RuntimeDies;
    create_fails: CREATE, RuntimeFails;
    the_init_dies_in_create: CREATE, ChildDies;
    run_dies: RUN, RuntimeDies;
    run_fails: RUN, RuntimeFails;
    run_dies_with_much_to_do: RUN_FURNISHED, RuntimeDies;
    the_init_fails_with_much_to_do: RUN_FURNISHED, ChildFails;
    exec_dies: EXEC, RuntimeDies;
    the_init_dies_before_exec: EXEC, InitDies;
    delete_by_force_dies: DELETE_BY_FORCE, RuntimeDies;
    delete_by_force_fails: DELETE_BY_FORCE, RuntimeFails;
    the_init_dies_before_delete: DELETE_BY_FORCE, InitDies;
    update_dies: UPDATE, RuntimeDies;
    update_fails: UPDATE, RuntimeFails;
}
