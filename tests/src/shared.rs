//! One relay for all tests of a binary that need no relay of their own: each founds a tenant, and tenants are
//! isolated from each other, which is the relay's promise.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Outcome;
use crate::folder::Folder;
use crate::relay::Relay;

/// A relay that ends with the last test that holds it. A static value would never be dropped, and its processes
/// would outlive the tests.
#[derive(Clone)]
pub struct SharedRelay {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped in this order: the folder goes when nobody writes into it any more.
    relay: Relay,
    _folder: Folder,
}

static CURRENT: Mutex<Weak<Inner>> = Mutex::new(Weak::new());

impl SharedRelay {
    /// The relay that other tests hold at the moment, or a new one.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn get() -> Outcome<Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = current.upgrade() {
            return Ok(Self { inner });
        }
        let folder = Folder::new()?;
        let relay = Relay::start(&folder.join("relay"))?;
        let inner = Arc::new(Inner { relay, _folder: folder });
        *current = Arc::downgrade(&inner);
        Ok(Self { inner })
    }
}

impl Deref for SharedRelay {
    type Target = Relay;

    fn deref(&self) -> &Relay {
        &self.inner.relay
    }
}
