//! One engine in a directory of its own, taken down with all that is left of its containers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use barge_api::containers::{ContainerConfig, ContainerInspect, CreateRequest, HostConfig, WaitCondition};
use barge_engine::containers::{LogsOptions, RemoveOptions};
use barge_engine::{Config, Engine, Result};
use barge_oci::Reference;
use barge_oci::image_config::{ContainerDefaults, ImageConfig};
use barge_store::Import;
use futures_util::StreamExt;

pub(crate) const IMAGE: &str = "busybox:latest";

/// An engine and where it lives.
pub(crate) struct Harbour {
    pub(crate) engine: Arc<Engine>,
    place: Place,
}

/// Roots and cgroup of one test. What is left of its containers goes when it is dropped.
struct Place {
    root: PathBuf,
    cgroup: String,
}

impl Harbour {
    pub(crate) async fn open() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("barge-engine-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let place = Place { root: std::env::temp_dir().join(&name), cgroup: format!("/{name}") };
        let engine = Engine::open(place.config()).await.expect("open the engine");
        import_busybox(&engine);
        Self { engine, place }
    }

    /// Forgets the engine as a `kill -9` would, does something meanwhile, and opens another one on the same roots.
    pub(crate) async fn reopen(self, meanwhile: impl AsyncFnOnce(&Path)) -> Self {
        let Self { engine, place } = self;
        let weak = Arc::downgrade(&engine);
        drop(engine);
        for _ in 0..500 {
            if weak.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(weak.strong_count(), 0, "the engine is still used");
        meanwhile(&place.root).await;
        let engine = Engine::open(place.config()).await.expect("open the engine again");
        Self { engine, place }
    }

    pub(crate) async fn create(&self, host_config: HostConfig, config: ContainerConfig) -> Result<String> {
        let request = request(host_config, config);
        let made = self.engine.containers.create(&self.engine, None, None, request).await?;
        Ok(made.id)
    }

    /// Makes and starts a container that runs a shell script.
    pub(crate) async fn run(&self, script: &str) -> String {
        let id = self.create(HostConfig::default(), shell(script)).await.expect("create");
        self.start(&id).await.expect("start");
        id
    }

    pub(crate) async fn start(&self, id: &str) -> Result<()> {
        self.engine.containers.start(&self.engine, id).await
    }

    pub(crate) async fn inspect(&self, id: &str) -> ContainerInspect {
        self.engine.containers.inspect(&self.engine, id, false).await.expect("inspect")
    }

    /// Waits for the end and answers the exit code.
    pub(crate) async fn wait(&self, id: &str) -> i64 {
        let waiting = self.engine.containers.wait(id, WaitCondition::NotRunning).expect("wait");
        let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        ended.expect("the container ends in time").status_code
    }

    pub(crate) async fn logs(&self, id: &str) -> String {
        let options = LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() };
        self.logs_with(id, options).await
    }

    /// The log's text, frames taken off.
    pub(crate) async fn logs_with(&self, id: &str, options: LogsOptions) -> String {
        let mut logs = self.engine.containers.logs(&self.engine, id, options).await.expect("logs");
        let mut bytes = Vec::new();
        while let Some(piece) = logs.stream.next().await {
            bytes.extend_from_slice(&piece.expect("a piece of log"));
        }
        if logs.tty { String::from_utf8_lossy(&bytes).into_owned() } else { unframe(&bytes) }
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveOptions { force: true, volumes: true, link: false };
        self.engine.containers.remove(&self.engine, id, options).await
    }

    pub(crate) fn root(&self) -> &Path {
        &self.place.root
    }

    /// Every trace of containers that is left below the roots.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let dirs = ["data/containers", "data/overlay/containers", "exec/containers"];
        let list = |dir: &str| std::fs::read_dir(self.place.root.join(dir)).into_iter().flatten().flatten();
        dirs.iter().flat_map(|dir| list(dir)).map(|entry| entry.path()).collect()
    }
}

impl Place {
    fn config(&self) -> Config {
        let mut config = Config::new(self.root.join("data"), self.root.join("exec"), shim());
        config.cgroup_parent.clone_from(&self.cgroup);
        config.no_default_bridge = true;
        config
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bundles = std::fs::read_dir(self.root.join("exec/containers"));
        for bundle in bundles.into_iter().flatten().flatten() {
            // A container that still runs keeps its shim; its cgroup tells its processes.
            let _ = barge_shim::client::reclaim(&bundle.path());
        }
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.root).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(controller.path().join(&self.cgroup[1..]));
        }
        let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.cgroup[1..]));
    }
}

pub(crate) fn shell(script: &str) -> ContainerConfig {
    command(&["sh", "-c", script])
}

pub(crate) fn command(words: &[&str]) -> ContainerConfig {
    let cmd = words.iter().map(|word| (*word).to_owned()).collect();
    ContainerConfig { image: IMAGE.to_owned(), cmd: Some(cmd), ..ContainerConfig::default() }
}

pub(crate) fn request(mut host_config: HostConfig, config: ContainerConfig) -> CreateRequest {
    if host_config.network_mode.is_empty() {
        host_config.network_mode = "none".to_owned();
    }
    CreateRequest { host_config: Some(host_config), config, ..CreateRequest::default() }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in time: {what}");
}

pub(crate) fn unframe(mut bytes: &[u8]) -> String {
    let mut decoder = barge_api::framing::Decoder::default();
    let mut text = Vec::new();
    while let Some((_, part)) = decoder.next(&mut bytes).expect("frames") {
        text.extend_from_slice(part);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The program of `examples/shim.rs`, built beside the tests.
fn shim() -> PathBuf {
    let test = std::env::current_exe().expect("this program's path");
    let profile = test.ancestors().nth(2).expect("the target directory");
    let shim = profile.join("examples/shim");
    assert!(shim.exists(), "{} is missing: cargo build --example shim makes it", shim.display());
    shim
}

fn import_busybox(engine: &Engine) {
    let tar = std::process::Command::new("sh")
        .arg("-c")
        .arg(
            "set -e; d=$(mktemp -d); chmod 755 $d; mkdir -p $d/bin $d/etc $d/tmp $d/data; cp /bin/busybox $d/bin/; \
             for n in $($d/bin/busybox --list); do [ $n = busybox ] || ln -s busybox $d/bin/$n; done; \
             printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/:/bin/sh\n' > $d/etc/passwd; \
             printf 'root:x:0:\nguest:x:1000:\ncrew:x:77:guest\n' > $d/etc/group; echo mine > $d/data/file; \
             echo text > $d/etc/plain; tar -C $d -c .; rm -rf $d",
        )
        .output()
        .expect("make a tar");
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    let defaults = ContainerDefaults {
        env: vec!["PATH=/bin".to_owned()],
        cmd: Some(vec!["sh".to_owned()]),
        ..ContainerDefaults::default()
    };
    let host = barge_oci::Platform::host();
    let config = ImageConfig {
        architecture: host.architecture,
        variant: host.variant,
        os: host.os,
        config: defaults,
        ..ImageConfig::default()
    };
    let reference = Some(Reference::parse_normalized(IMAGE).expect("a reference"));
    let import = Import { config, comment: String::new(), reference };
    engine.images.store().import(tar.stdout.as_slice(), import).expect("import busybox");
}

/// A map from pairs.
pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
