//! Names on top of the store and the registry, one verb a file.
//!
//! ```text
//! pull push load import ──> Messages: a task's JSON lines, stopped when the client goes (messages.rs)
//! list inspect history tag remove save prune login distribution
//! ```
//!
//! The store holds the state; what is here is what Docker means by it: which name may be taken away while a
//! container needs its image, what a filter matches, which words an error has.

mod auth;
mod builtin;
mod changes;
mod distribution;
mod filter;
mod history;
mod import;
mod inspect;
mod list;
mod load;
mod messages;
mod pattern;
mod prune;
mod pull;
mod push;
mod refusal;
mod remove;
mod save;
mod tag;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use barge_api::Filters;
use barge_api::events::EventType;
use barge_api::system::AuthConfig;
use barge_registry::{Client, Config as RegistryConfig};
use barge_store::{Image, ImageId, Store};
use bytes::Bytes;
use futures_util::Stream;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Result};

pub use changes::Changes;
pub use load::Verbosity;
pub use messages::Messages;

/// A request's body as it comes in, or an answer's as it goes out.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// `POST /images/create?fromImage=…`.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// A name, perhaps with a tag or digest.
    pub from_image: String,
    /// A tag or a digest; empty takes what `from_image` says, and all tags if it says none.
    pub tag: String,
    /// `os[/arch[/variant]]`; empty is this machine's.
    pub platform: String,
    pub auth: AuthConfig,
}

/// `POST /images/{name}/push`.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Empty pushes all tags of the repository, unless the name has one.
    pub tag: String,
    pub auth: AuthConfig,
}

/// `GET /images/json`.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also images without a name that others were made from.
    pub all: bool,
    pub shared_size: bool,
    pub filters: Filters,
}

/// `DELETE /images/{name}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    pub force: bool,
    /// Keep parents that have no name.
    pub no_prune: bool,
}

/// `POST /images/create?fromSrc=…`.
pub struct ImportOptions {
    /// `-` for the body, else an http URL.
    pub source: String,
    pub repository: String,
    pub tag: String,
    pub message: String,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// Empty is this machine's.
    pub platform: String,
    pub body: Body,
}

/// The images of one engine.
pub struct Images {
    store: Store,
    registry: Client,
    /// What `barge/hello` is made of.
    exe: PathBuf,
}

impl Images {
    /// Opens the store of the data root and sets the registry client up.
    ///
    /// # Errors
    /// [`Kind::System`](crate::Kind::System) if the store can't be opened.
    pub fn open(config: &Config) -> Result<Self> {
        let store = Store::open(&config.data_root).map_err(Error::failed("opening the image store"))?;
        Ok(Self { store, registry: Client::new(registry_config(config)), exe: config.exe.clone() })
    }

    /// Where content is.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The client of registries.
    pub fn registry(&self) -> &Client {
        &self.registry
    }

    /// The image that a name, `name@digest`, ID or the start of one stands for. `barge/hello` is made if it is asked
    /// for and not there.
    ///
    /// # Errors
    /// 404 `No such image: NAME:TAG`.
    pub async fn resolve(&self, name: &str) -> Result<Image> {
        match self.store.images().resolve(name) {
            Ok(image) => Ok(image),
            Err(_) if builtin::is_hello(name) => self.make_hello().await,
            Err(error) => Err(refusal::unresolved(name, error)),
        }
    }
}

fn registry_config(config: &Config) -> RegistryConfig {
    RegistryConfig {
        insecure: config.insecure_registries.clone(),
        mirrors: mirrors(&config.registry_mirrors),
        max_concurrent_downloads: config.max_concurrent_downloads,
        max_concurrent_uploads: config.max_concurrent_uploads,
        ..RegistryConfig::default()
    }
}

/// Mirrors by domain. A bare URL is one of Docker Hub, as in Docker; `DOMAIN=URL` is one of any registry.
fn mirrors(settings: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for setting in settings {
        let named = setting.split_once('=').filter(|(domain, _)| !domain.contains('/'));
        let (domain, url) = named.unwrap_or(("docker.io", setting));
        mirrors.entry(domain.to_owned()).or_default().push(url.to_owned());
    }
    mirrors
}

/// Tells that something happened to an image. `name` is how the user called it.
fn publish(engine: &Engine, action: &str, id: &ImageId, name: &str) {
    let attributes = attributes(engine, id, name);
    engine.events.publish(EventType::Image, action, &id.to_string(), attributes);
}

/// What goes with an image's event: its labels and its name.
fn attributes(engine: &Engine, id: &ImageId, name: &str) -> BTreeMap<String, String> {
    let image = engine.images.store.images().find(id);
    let mut attributes = image.map_or_else(BTreeMap::new, |image| image.config.config.labels.clone());
    attributes.insert("name".to_owned(), name.to_owned());
    attributes
}

/// Runs work on the store away from the threads that serve connections.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::system(format!("{what} was interrupted"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_of_the_hub_unless_they_name_a_registry() {
        let settings = ["https://a.example", "ghcr.io=https://b.example", "http://c.example/?x=y"];
        let found = mirrors(&settings.map(str::to_owned));
        assert_eq!(found["docker.io"], ["https://a.example", "http://c.example/?x=y"]);
        assert_eq!(found["ghcr.io"], ["https://b.example"]);
    }
}
