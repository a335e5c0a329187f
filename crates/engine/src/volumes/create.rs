//! Making a volume, by request or because a container names one that is not there.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use barge_api::events::{EventType, action};
use barge_api::volumes::{Volume, VolumeCreateRequest};

use super::document::Document;
use super::{ANONYMOUS, Acquired, Entry, LOCAL, VolumeRequest, Volumes, name, no_such_volume, options};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Volumes {
    /// Makes a volume; one that is there already is answered as it is. Blocks shortly on the disk.
    pub fn create(&self, engine: &Engine, request: VolumeCreateRequest) -> Result<Volume> {
        let acquired = self.acquire(
            engine,
            &VolumeRequest {
                name: Some(request.name).filter(|name| !name.is_empty()),
                driver: request.driver,
                options: request.driver_opts,
                labels: request.labels,
            },
        )?;
        self.inspect(&acquired.name)
    }

    /// Finds the named volume or makes it (with a `create` event). Blocks shortly on the disk.
    pub fn acquire(&self, engine: &Engine, request: &VolumeRequest) -> Result<Acquired> {
        let acquired = self.find_or_make(request)?;
        if acquired.created {
            let attributes = BTreeMap::from([("driver".to_owned(), acquired.driver.clone())]);
            engine.events.publish(EventType::Volume, action::CREATE, &acquired.name, attributes);
        }
        Ok(acquired)
    }

    pub(super) fn find_or_make(&self, request: &VolumeRequest) -> Result<Acquired> {
        let driver = if request.driver.is_empty() { LOCAL } else { &request.driver };
        let name = match &request.name {
            Some(name) => name.clone(),
            None => name::random()?,
        };
        if driver != LOCAL {
            return Err(Error::not_found(format!(
                "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
        // Made under the lock: of two who want the same new volume one makes it and the other finds it.
        let mut entries = self.entries();
        let created = !entries.contains_key(&name);
        if created {
            let document = self.make(&name, request)?;
            entries.insert(name.clone(), Entry { document, hold: Weak::new() });
        }
        Ok(Acquired { created, ..self.hold(&mut entries, &name)? })
    }

    /// An existing volume, held against removal.
    fn hold(&self, entries: &mut BTreeMap<String, Entry>, name: &str) -> Result<Acquired> {
        let entry = entries.get_mut(name).ok_or_else(|| no_such_volume(name))?;
        let hold = entry.hold.upgrade().unwrap_or_default();
        entry.hold = Arc::downgrade(&hold);
        let (path, source) = options::source(self.data(name), &entry.document.options);
        Ok(Acquired {
            name: name.to_owned(),
            driver: entry.document.driver.clone(),
            path,
            source,
            created: false,
            anonymous: entry.document.labels.contains_key(ANONYMOUS),
            hold,
        })
    }

    fn make(&self, name: &str, request: &VolumeRequest) -> Result<Document> {
        name::validate(name)?;
        options::validate(name, &request.options)?;
        let mut labels = request.labels.clone();
        if request.name.is_none() {
            labels.insert(ANONYMOUS.to_owned(), String::new());
        }
        let document = Document::new(name.to_owned(), labels, request.options.clone());
        let data = self.data(name);
        std::fs::create_dir_all(&data).map_err(Error::failed(format_args!("create {name}")))?;
        document.write(&self.dir(name)).inspect_err(|_| {
            // Only a directory that is still empty goes.
            let _ = std::fs::remove_dir(&data);
            let _ = std::fs::remove_dir(self.dir(name));
        })?;
        Ok(document)
    }
}
