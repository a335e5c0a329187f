//! Images as the API shows them: names, removal and its conflicts, archives, and a registry on this machine.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use barge_api::Filters;
use barge_api::containers::HostConfig;
use barge_api::progress::JsonMessage;
use barge_engine::Kind;
use barge_engine::images::{
    Body, ImportOptions, ListOptions, Messages, PullOptions, PushOptions, RemoveOptions, Verbosity,
};
use futures_util::StreamExt;

use crate::harness::{Harbour, IMAGE, shell};

/// A real registry; stopped with the test.
struct Registry {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n",
            directory.path().display()
        );
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config).expect("write the configuration");
        let mut command = Command::new("docker-registry");
        let command = command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry is installed");
        let registry = Self { process, port, _directory: directory };
        for _ in 0..1000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the registry does not come up");
    }

    fn name(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn statuses(messages: Messages) -> Vec<String> {
    let lines: Vec<JsonMessage> = messages.collect().await;
    for line in &lines {
        assert_eq!(line.error, "", "{line:?}");
    }
    lines.into_iter().filter(|line| line.id.is_empty()).map(|line| line.status).collect()
}

impl Harbour {
    async fn pull(&self, from_image: &str) -> barge_engine::Result<Messages> {
        let options = PullOptions { from_image: from_image.to_owned(), ..PullOptions::default() };
        self.engine.images.pull(&self.engine, options).await
    }

    async fn rename(&self, name: &str, repository: &str, tag: &str) {
        self.engine.images.tag(&self.engine, name, repository, tag).await.expect("tag");
    }

    async fn unname(&self, name: &str, force: bool) -> barge_engine::Result<Vec<String>> {
        let options = RemoveOptions { force, no_prune: false };
        let gone = self.engine.images.remove(&self.engine, name, options).await?;
        let shown = gone.into_iter().map(|record| match record.untagged.as_str() {
            "" => format!("deleted {}", record.deleted),
            name => format!("untagged {name}"),
        });
        Ok(shown.collect())
    }

    async fn tags(&self, filters: &str) -> Vec<String> {
        let filters = Filters::parse(filters).expect("filters");
        let options = ListOptions { filters, ..ListOptions::default() };
        let listed = self.engine.images.list(options).await.expect("list");
        let mut tags: Vec<String> = listed.into_iter().flat_map(|image| image.repo_tags).collect();
        tags.sort();
        tags
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_and_go_and_the_image_with_the_last() {
    let harbour = Harbour::open().await;
    let id = harbour.engine.images.inspect(IMAGE).await.expect("inspect").id;
    harbour.rename(IMAGE, "other/name", "v1").await;
    harbour.rename(&id[7..19], "third", "").await;
    assert_eq!(harbour.tags("").await, ["busybox:latest", "other/name:v1", "third:latest"]);
    let reference = r#"{"reference":["other/*","thi*"]}"#;
    assert_eq!(harbour.tags(reference).await, ["other/name:v1", "third:latest"]);
    assert_eq!(harbour.tags(r#"{"dangling":["true"]}"#).await, [""; 0]);
    assert_eq!(harbour.tags(r#"{"label":["none"]}"#).await, [""; 0]);

    let error = harbour.unname(&id, false).await.expect_err("several names");
    assert_eq!(error.kind(), Kind::Conflict);
    let short = &id[7..19];
    assert_eq!(
        error.message(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(harbour.unname("third", false).await.expect("rmi"), ["untagged third:latest"]);
    assert_eq!(harbour.unname("other/name:v1", false).await.expect("rmi"), ["untagged other/name:v1"]);
    let gone = harbour.unname(IMAGE, false).await.expect("rmi");
    assert_eq!(gone[..2], ["untagged busybox:latest".to_owned(), format!("deleted {id}")]);
    let error = harbour.unname("busybox", false).await.expect_err("gone");
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "No such image: busybox:latest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_use_stays() {
    let harbour = Harbour::open().await;
    let image = harbour.engine.images.inspect(IMAGE).await.expect("inspect").id;
    let container = harbour.create(HostConfig::default(), shell("sleep 60")).await.expect("create");
    let (short, user) = (&image[7..19], &container[..12]);
    let refusal = |name: &str| {
        let (harbour, name) = (&harbour, name.to_owned());
        async move { harbour.unname(&name, false).await.expect_err("in use").message().to_owned() }
    };
    assert_eq!(
        refusal(IMAGE).await,
        format!(
            "conflict: unable to remove repository reference \"busybox:latest\" (must force) - container {user} is \
             using its referenced image {short}"
        )
    );
    assert_eq!(
        refusal(&image).await,
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container {user}"
        )
    );
    harbour.start(&container).await.expect("start");
    assert_eq!(
        refusal(&image).await,
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container {user}"
        )
    );
    let pruned = harbour
        .engine
        .images
        .prune(&harbour.engine, Filters::parse(r#"{"dangling":["false"]}"#).expect("filters"));
    assert!(pruned.await.expect("prune").images_deleted.is_empty());
    harbour.remove(&container).await.expect("remove");
    let all = Filters::parse(r#"{"dangling":["false"]}"#).expect("filters");
    let pruned = harbour.engine.images.prune(&harbour.engine, all).await.expect("prune");
    assert!(pruned.space_reclaimed > 100_000, "{}", pruned.space_reclaimed);
    assert_eq!(pruned.images_deleted[0].untagged, "busybox:latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_to_a_registry_and_comes_back() {
    let (harbour, registry) = (Harbour::open().await, Registry::start());
    let name = registry.name("a/busybox");
    harbour.rename(IMAGE, &name, "v1").await;
    let options = PushOptions { tag: "v1".to_owned(), ..PushOptions::default() };
    let pushed = harbour.engine.images.push(&harbour.engine, &name, options).await.expect("push");
    let lines: Vec<JsonMessage> = pushed.collect().await;
    assert_eq!(lines[0].status, format!("The push refers to repository [{name}]"));
    assert!(lines.iter().any(|line| line.status == "Pushed"), "{lines:?}");
    let aux = lines.last().and_then(|line| line.aux.clone()).expect("aux");
    assert_eq!(aux["Tag"], "v1");
    let digest = aux["Digest"].as_str().expect("digest").to_owned();

    let tagged = format!("{name}:v1");
    let up_to_date = statuses(harbour.pull(&tagged).await.expect("pull")).await;
    assert_eq!(
        up_to_date,
        [format!("Digest: {digest}"), format!("Status: Image is up to date for {tagged}")]
    );
    harbour.unname(IMAGE, false).await.expect("rmi");
    let gone = harbour.unname(&tagged, false).await.expect("rmi");
    assert_eq!(gone[..2], [format!("untagged {tagged}"), format!("untagged {name}@{digest}")]);

    let lines: Vec<JsonMessage> = harbour.pull(&tagged).await.expect("pull").collect().await;
    assert_eq!((lines[0].id.as_str(), lines[0].status.as_str()), ("v1", "Pulling from a/busybox"));
    let about_layers: Vec<&str> =
        lines.iter().filter(|line| line.id.len() == 12).map(|line| line.status.as_str()).collect();
    assert_eq!(about_layers.first(), Some(&"Pulling fs layer"));
    assert_eq!(about_layers.last(), Some(&"Pull complete"));
    let last: Vec<&str> = lines.iter().rev().take(2).map(|line| line.status.as_str()).collect();
    assert_eq!(last, [format!("Status: Downloaded newer image for {tagged}"), format!("Digest: {digest}")]);
    // No tag: all of them.
    assert_eq!(statuses(harbour.pull(&name).await.expect("pull")).await.len(), 2);

    let error = harbour.pull(&registry.name("a/busybox:nope")).await.err().expect("no such tag");
    let text = format!("manifest for {name}:nope not found: manifest unknown: manifest unknown");
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, text.as_str()));
    let inspected = harbour.engine.images.distribution(&tagged, Default::default()).await.expect("inspect");
    assert_eq!(inspected.descriptor.digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_holds_what_was_saved() {
    let harbour = Harbour::open().await;
    harbour.rename(IMAGE, "kept", "v1").await;
    let before = harbour.engine.images.inspect("kept:v1").await.expect("inspect");
    let names = vec!["kept:v1".to_owned()];
    let mut archive = harbour.engine.images.save(&harbour.engine, names).await.expect("save");
    let mut bytes = Vec::new();
    while let Some(piece) = archive.next().await {
        bytes.extend_from_slice(&piece.expect("a piece"));
    }
    harbour.unname(IMAGE, false).await.expect("rmi");
    harbour.unname("kept:v1", false).await.expect("rmi");
    let body = || -> Body { Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from(bytes.clone()))])) };
    let loaded = harbour.engine.images.load(&harbour.engine, body(), Verbosity::Quiet).await.expect("load");
    let lines: Vec<JsonMessage> = loaded.collect().await;
    assert_eq!(
        lines.iter().map(|line| line.stream.as_str()).collect::<Vec<_>>(),
        ["Loaded image: kept:v1\n"]
    );
    assert_eq!(harbour.engine.images.inspect("kept:v1").await.expect("inspect").id, before.id);
    let error =
        harbour.engine.images.save(&harbour.engine, vec!["nothing".to_owned()]).await.err().expect("404");
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "No such image: nothing:latest"));
    let junk: Body = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"junk"))]));
    assert!(harbour.engine.images.load(&harbour.engine, junk, Verbosity::Quiet).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_its_changes() {
    let harbour = Harbour::open().await;
    let tar = Command::new("tar").args(["-C", "/etc", "-c", "hostname"]).output().expect("tar").stdout;
    let options = ImportOptions {
        source: "-".to_owned(),
        repository: "imported".to_owned(),
        tag: String::new(),
        message: "by hand".to_owned(),
        changes: vec!["CMD [\"/bin/true\"]".to_owned(), "ENV A=b\nLABEL c=d".to_owned()],
        platform: String::new(),
        body: Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from(tar))])),
    };
    let lines = statuses(harbour.engine.images.import(&harbour.engine, options).await.expect("import")).await;
    let image = harbour.engine.images.inspect("imported:latest").await.expect("inspect");
    assert_eq!(lines.last(), Some(&image.id));
    let config = image.config.expect("config");
    assert_eq!(
        (config.cmd.expect("cmd"), config.env),
        (vec!["/bin/true".to_owned()], vec!["A=b".to_owned()])
    );
    assert_eq!(config.labels["c"], "d");
    let history = harbour.engine.images.history("imported").await.expect("history");
    assert_eq!((history[0].comment.as_str(), history[0].id.as_str()), ("by hand", image.id.as_str()));
    assert_eq!(harbour.tags(r#"{"label":["c=d"]}"#).await, ["imported:latest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_image_is_made_when_it_is_pulled() {
    let harbour = Harbour::open().await;
    let made = statuses(harbour.pull("barge/hello").await.expect("pull")).await;
    // Without a tag all tags are meant, and there is but one.
    assert_eq!(made.last().map(String::as_str), Some("Status: Built image for barge/hello:latest"));
    let image = harbour.engine.images.inspect("barge/hello").await.expect("inspect");
    assert_eq!(image.config.expect("config").entrypoint.expect("entrypoint"), ["/barge", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_told_in_dockers_words() {
    let harbour = Harbour::open().await;
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let error = harbour.pull(&format!("{closed}/x:y")).await.err().expect("refused");
    let text = format!("Get \"http://{closed}/v2/\": dial tcp {closed}: connect: connection refused");
    assert_eq!((error.kind(), error.message()), (Kind::System, text.as_str()));
    let error = harbour.pull("Not A Name").await.err().expect("refused");
    assert_eq!(error.kind(), Kind::InvalidParameter);
    let options = PushOptions::default();
    let error =
        harbour.engine.images.push(&harbour.engine, "none/such:x", options).await.err().expect("refused");
    assert_eq!(error.message(), "tag does not exist: none/such:x");
}
