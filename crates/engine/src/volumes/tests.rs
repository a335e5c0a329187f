//! The driver on a real directory.

use barge_api::Filters;

use super::*;

/// A directory under the system's temporary one that goes with the test.
struct Root(PathBuf);

impl Root {
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("barge-volumes-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn open(&self) -> Volumes {
        Volumes::open(&self.0).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> VolumeRequest {
    VolumeRequest { name: Some(name.to_owned()), ..VolumeRequest::default() }
}

fn nobody(_: &str) -> Vec<String> {
    Vec::new()
}

#[test]
fn volumes_survive_a_restart() {
    let root = Root::new("restart");
    let labels = BTreeMap::from([("tier".to_owned(), "data".to_owned())]);
    root.open().find_or_make(&VolumeRequest { labels: labels.clone(), ..named("db") }).unwrap();
    let volume = root.open().inspect("db").unwrap();
    assert_eq!((volume.name.as_str(), volume.driver.as_str(), volume.labels), ("db", "local", labels));
    assert!(Path::new(&volume.mountpoint).is_dir());
}

#[test]
fn the_second_who_asks_finds_it() {
    let root = Root::new("second");
    let volumes = root.open();
    assert!(volumes.find_or_make(&named("db")).unwrap().created);
    assert!(!volumes.find_or_make(&named("db")).unwrap().created);
}

#[test]
fn anonymous_volumes_are_labelled() {
    let root = Root::new("anonymous");
    let acquired = root.open().find_or_make(&VolumeRequest::default()).unwrap();
    assert!(acquired.anonymous && acquired.name.len() == 64);
    assert!(root.open().inspect(&acquired.name).unwrap().labels.contains_key(ANONYMOUS));
}

#[test]
fn what_is_in_use_or_held_is_not_removed() {
    let root = Root::new("in-use");
    let volumes = root.open();
    let held = volumes.find_or_make(&named("db")).unwrap();
    assert!(volumes.take("db", nobody).is_err());
    drop(held);
    let error = volumes.take("db", |_| vec!["c1".to_owned(), "c2".to_owned()]).unwrap_err();
    assert_eq!(error.message(), "remove db: volume is in use - [c1, c2]");
    volumes.take("db", nobody).unwrap();
    volumes.discard("db").unwrap();
    assert_eq!(volumes.inspect("db").unwrap_err().message(), "get db: no such volume");
    assert_eq!(std::fs::read_dir(root.0.join("volumes")).unwrap().count(), 0);
}

#[test]
fn remains_of_a_crash_are_no_volumes() {
    let root = Root::new("crash");
    let dir = root.0.join("volumes");
    std::fs::create_dir_all(dir.join("half/_data")).unwrap();
    std::fs::create_dir_all(dir.join(".removed-x/_data/file")).unwrap();
    std::fs::create_dir_all(dir.join("damaged/_data")).unwrap();
    std::fs::write(dir.join("damaged/volume.json"), "{").unwrap();
    let volumes = root.open();
    assert!(volumes.entries().is_empty());
    assert!(!dir.join("half").exists() && !dir.join(".removed-x").exists());
    assert!(dir.join("damaged").exists());
}

#[test]
fn lists_filter() {
    let root = Root::new("list");
    let volumes = root.open();
    volumes.find_or_make(&named("web-data")).unwrap();
    volumes.find_or_make(&named("db-data")).unwrap();
    let users = |name: &str| usize::from(name == "web-data");
    let names = |filters: &str| -> Result<Vec<String>> {
        let list = volumes.list(&Filters::parse(filters).unwrap(), users)?;
        Ok(list.volumes.into_iter().map(|volume| volume.name).collect())
    };
    assert_eq!(names("{}").unwrap(), ["db-data", "web-data"]);
    assert_eq!(names(r#"{"dangling":["true"]}"#).unwrap(), ["db-data"]);
    assert_eq!(names(r#"{"dangling":["false"]}"#).unwrap(), ["web-data"]);
    assert_eq!(names(r#"{"name":["web"]}"#).unwrap(), ["web-data"]);
    assert_eq!(names(r#"{"driver":["nfs"]}"#).unwrap(), [""; 0]);
    assert_eq!(names(r#"{"bogus":["1"]}"#).unwrap_err().message(), "invalid filter 'bogus'");
}

#[test]
fn other_drivers_are_not_found() {
    let root = Root::new("driver");
    let request = VolumeRequest { driver: "nfs".to_owned(), ..named("db") };
    let error = root.open().find_or_make(&request).unwrap_err();
    assert_eq!(error.message(), "create db: error looking up volume plugin nfs: plugin \"nfs\" not found");
}
