//! Which containers there are: by ID, by name, by the start of an ID.
//!
//! The lock is held for look-ups and changes in memory only, never over a disk or an await. A name is reserved
//! before its container is made, so that two creates cannot both have it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::names;
use super::task::Container;
use crate::error::{Error, Result};

/// All containers of an engine.
#[derive(Default)]
pub(crate) struct Index {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// Ordered, so that those which begin alike are neighbours.
    by_id: BTreeMap<String, Arc<Container>>,
    /// Names with the ID each belongs to.
    names: HashMap<String, String>,
}

impl Index {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a container by ID, name (with or without its slash) or the unambiguous start of an ID.
    ///
    /// # Errors
    /// 404 `No such container: X`; 400 if several IDs begin so.
    pub(crate) fn find(&self, wanted: &str) -> Result<Arc<Container>> {
        let state = self.read();
        let missing = || Error::not_found(format!("No such container: {wanted}"));
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if name.is_empty() {
            return Err(missing());
        }
        let named = || state.names.get(name).and_then(|id| state.by_id.get(id));
        if let Some(container) = state.by_id.get(wanted).or_else(named) {
            return Ok(Arc::clone(container));
        }
        let mut matching =
            state.by_id.range(wanted.to_owned()..).take_while(|(id, _)| id.starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => {
                Err(Error::invalid(format!("multiple IDs found with provided prefix: {wanted}")))
            }
            (None, _) => Err(missing()),
        }
    }

    /// All of them, in no order that means anything.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().cloned().collect()
    }

    /// Keeps a name for a container that is about to be made, or renamed.
    ///
    /// # Errors
    /// 409, with Docker's text, if it is taken.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut state = self.write();
        match state.names.get(name) {
            Some(owner) => Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            ))),
            None => {
                state.names.insert(name.to_owned(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Keeps a random free name.
    pub(crate) fn reserve_random(&self, id: &str) -> Result<String> {
        for attempt in 0..6 {
            let name = names::random(attempt);
            if self.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        let name = id[..12.min(id.len())].to_owned();
        self.reserve(&name, id).map(|()| name)
    }

    /// Gives a name back, if it is this container's.
    pub(crate) fn release(&self, name: &str, id: &str) {
        let mut state = self.write();
        if state.names.get(name).is_some_and(|owner| owner == id) {
            state.names.remove(name);
        }
    }

    /// Makes a container known. Its name was reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().by_id.insert(container.id.clone(), container);
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: &str, name: &str) {
        self.write().by_id.remove(id);
        self.release(name, id);
    }
}
