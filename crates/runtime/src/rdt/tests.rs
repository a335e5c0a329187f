//! What is done in a directory tree like resctrl's. The kernel's own files appear and go there with their directories;
//! here they are made and removed by hand.

use super::*;

/// A tree with one group, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("barge-rdt-{}-{name}", std::process::id()));
        let tree = Self(root);
        for resource in ["L3", "MB"] {
            fs::create_dir_all(tree.0.join("info").join(resource)).unwrap();
        }
        tree.group("web", "    MB:0=100;1=100\n    L3:0=fffff;1=0000f\n");
        tree.group("", "MB:0=100\n");
        tree
    }

    fn group(&self, name: &str, schemata: &str) {
        let directory = self.0.join(name);
        fs::create_dir_all(directory.join("mon_groups")).unwrap();
        fs::write(directory.join("schemata"), schemata).unwrap();
        fs::write(directory.join("tasks"), "").unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| error.to_string())
    }

    /// Makes the groups of a plan, and puts process 7 into them.
    fn enter(&self, json: &str) -> Result<()> {
        let plan = plan(json)?;
        plan.make(&self.0)?;
        plan.join(&self.0, 7)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plan(json: &str) -> Result<RdtPlan> {
    let linux: Linux = serde_json::from_str(&format!(r#"{{"intelRdt":{json}}}"#)).unwrap();
    RdtPlan::of(&linux, "id").map(Option::unwrap)
}

#[test]
fn nothing_asked_for_is_nothing_done() {
    assert_eq!(RdtPlan::of(&Linux::default(), "id").unwrap(), None);
}

#[test]
fn nonsense_is_refused() {
    for json in [
        r#"{"closID":".."}"#,
        r#"{"closID":"."}"#,
        r#"{"closID":"a/b"}"#,
        r#"{"memBwSchema":"L3:0=1"}"#,
        r#"{"l3CacheSchema":"L3:0=1\nMB:0=1"}"#,
        r#"{"schemata":["L3:0=1","MB:0=1\n"]}"#,
    ] {
        assert!(plan(json).is_err(), "{json}");
    }
    for json in ["{}", r#"{"closID":""}"#, r#"{"closID":"/"}"#, r#"{"enableCMT":true}"#] {
        assert!(plan(json).is_ok(), "{json}");
    }
}

#[test]
fn a_container_gets_a_group_of_its_own() {
    let tree = Tree::new("own");
    tree.enter(r#"{"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=20","schemata":["L2:0=1","MB:0=30"]}"#)
        .unwrap();
    assert_eq!(tree.text("id/schemata"), "L3:0=f\nMB:0=20\nL2:0=1\nMB:0=30\n");
    assert_eq!(tree.text("id/tasks"), "7");
    // Somebody is in it.
    assert!(tree.enter("{}").is_err());
    // What an ended container has left is used again, and nothing is written that nobody asked for.
    fs::write(tree.0.join("id/tasks"), "").unwrap();
    tree.enter("{}").unwrap();
    assert_eq!(tree.text("id/schemata"), "L3:0=f\nMB:0=20\nL2:0=1\nMB:0=30\n");
}

#[test]
fn a_named_group_is_made_or_has_to_agree() {
    let tree = Tree::new("named");
    for (json, good) in [
        (r#"{"closID":"web"}"#, true),
        (r#"{"closID":"/"}"#, true),
        (r#"{"closID":"web","l3CacheSchema":"L3:1=f;0=FFFFF","memBwSchema":"MB:1=100"}"#, true),
        (r#"{"closID":"web","l3CacheSchema":"L3:0=f"}"#, false),
        (r#"{"closID":"web","memBwSchema":"MB:2=100"}"#, false),
        (r#"{"closID":"none"}"#, false),
        (r#"{"closID":"new","schemata":["L3:0=1"]}"#, true),
        (r#"{"closID":"other","l3CacheSchema":"L4:0=1"}"#, false),
    ] {
        assert_eq!(tree.enter(json).is_ok(), good, "{json}");
    }
    assert_eq!(tree.text("new/schemata"), "L3:0=1\n");
    assert_eq!((tree.text("new/tasks"), tree.text("tasks")), ("7".into(), "7".into()));
    assert_eq!(tree.text("web/schemata"), "    MB:0=100;1=100\n    L3:0=fffff;1=0000f\n");
    tree.enter(r#"{"closID":"web","schemata":["MB:0=50"]}"#).unwrap();
    assert_eq!(tree.text("web/schemata"), "MB:0=50\n");
}

#[test]
fn only_what_is_the_containers_own_is_removed() {
    let tree = Tree::new("removed");
    let empty = |name: &str| {
        for file in ["tasks", "schemata"] {
            let _ = fs::remove_file(tree.0.join(name).join(file));
        }
        let _ = fs::remove_dir(tree.0.join(name).join("mon_groups"));
    };
    let remove = |json: &str| plan(json).unwrap().remove_from(&tree.0);
    tree.enter(r#"{"closID":"web","enableMonitoring":true}"#).unwrap();
    assert_eq!(tree.text("web/mon_groups/id/tasks"), "7");
    empty("web/mon_groups/id");
    remove(r#"{"closID":"web","enableMonitoring":true}"#).unwrap();
    assert!(!tree.0.join("web/mon_groups/id").exists() && tree.0.join("web").exists());
    tree.enter("{}").unwrap();
    empty("id");
    remove("{}").unwrap();
    assert!(!tree.0.join("id").exists());
    // Again, for a container whose end was seen twice.
    remove("{}").unwrap();
    remove(r#"{"closID":"web"}"#).unwrap();
}

#[test]
fn the_kernel_is_quoted() {
    let tree = Tree::new("quoted");
    fs::write(tree.0.join("info/last_cmd_status"), "mask f0f has non-consecutive 1-bits\n").unwrap();
    let error = tree.enter(r#"{"closID":"none"}"#).unwrap_err();
    assert!(error.to_string().contains("last_cmd_status: mask f0f has"), "{error}");
}

#[test]
fn a_group_can_be_changed() {
    let tree = Tree::new("changed");
    let linux: Linux =
        serde_json::from_str(r#"{"intelRdt":{"closID":"web","memBwSchema":"MB:0=100"}}"#).unwrap();
    let (kept, plan) = RdtPlan::changing(&linux, "id", Some("L3:0=f".into()), None).unwrap();
    plan.update_below(&tree.0).unwrap();
    assert_eq!(tree.text("web/schemata"), "L3:0=f\n");
    assert_eq!(kept.l3_cache_schema().as_deref(), Some("L3:0=f"));
    assert_eq!(kept.mem_bw_schema().as_deref(), Some("MB:0=100"));
    let (_, absent) = RdtPlan::changing(&linux, "id", Some("L2:0=f".into()), None).unwrap();
    assert!(absent.update_below(&tree.0).unwrap_err().to_string().contains("L2 is not enabled"));
    let error = RdtPlan::changing(&Linux::default(), "id", None, Some("MB:0=1".into())).unwrap_err();
    assert!(error.to_string().contains("made without a group"), "{error}");
}
