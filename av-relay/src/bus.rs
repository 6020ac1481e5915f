//! Who is connected to this process, and how to get their attention.
//!
//! The bus carries no content and no authority: a woken connection asks the database what there is. A signal
//! that is lost costs nothing but time, for the database is asked again at the next connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use av_wire::ids::{DeviceId, TenantId};
use tokio::sync::watch;

/// Why a connection is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// A newer connection of the device took over.
    Superseded,
    /// The device is suspended or revoked.
    NotAuthorized,
}

/// What happened since a connection last looked. Counters, so that no signal is lost between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    /// The device's inbox, or the answer that an enrolling device waits for, may have changed.
    pub(crate) wakes: u64,
    /// Enrollment requests came in for this device's invites.
    pub(crate) enrollments: u64,
    /// The connection is to end.
    pub(crate) close: Option<CloseReason>,
}

/// Whether a device talks or still waits to be let in. The two are apart, since anybody can ask to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    /// It asked for an approval and waits.
    Enrolling,
    /// It is authenticated.
    Authenticated,
}

/// Keyed by tenant and device, as the relay authenticated them: nothing a client writes names another's line.
type Key = (TenantId, DeviceId, Presence);

/// The connections of this process.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    lines: Mutex<HashMap<Key, watch::Sender<Signals>>>,
}

impl Bus {
    /// Puts a connection on the bus. An older one of the same device is told to end: the newest wins.
    pub(crate) fn register(self: &Arc<Self>, tenant: TenantId, device: DeviceId, presence: Presence) -> Line {
        let (sender, signals) = watch::channel(Signals::default());
        let key = (tenant, device, presence);
        if let Some(older) = self.lines().insert(key, sender) {
            older.send_modify(|signals| signals.close = Some(CloseReason::Superseded));
        }
        Line { bus: Arc::clone(self), key, signals }
    }

    /// Something may wait for the device.
    pub(crate) fn wake(&self, tenant: &TenantId, device: &DeviceId) {
        for presence in [Presence::Enrolling, Presence::Authenticated] {
            self.signal(&(*tenant, *device, presence), |signals| signals.wakes += 1);
        }
    }

    /// An enrollment request came in for an invite of the device.
    pub(crate) fn announce_enrollment(&self, tenant: &TenantId, device: &DeviceId) {
        let key = (*tenant, *device, Presence::Authenticated);
        self.signal(&key, |signals| signals.enrollments += 1);
    }

    /// Ends whatever connections the device has.
    pub(crate) fn close(&self, tenant: &TenantId, device: &DeviceId) {
        for presence in [Presence::Enrolling, Presence::Authenticated] {
            let key = (*tenant, *device, presence);
            self.signal(&key, |signals| signals.close = Some(CloseReason::NotAuthorized));
        }
    }

    fn signal(&self, key: &Key, change: impl FnOnce(&mut Signals)) {
        if let Some(line) = self.lines().get(key) {
            line.send_modify(change);
        }
    }

    /// Held for a map operation only, never across an await. The map is whole even if a holder panicked.
    fn lines(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<Signals>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place on the bus; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Line {
    bus: Arc<Bus>,
    key: Key,
    signals: watch::Receiver<Signals>,
}

impl Line {
    /// Waits for signals that were not [seen](Self::see). Never ends by itself. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        // The sender is gone only when a newer connection replaced it, which was signalled before.
        if self.signals.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the connection is to end. Leaves the other signals unseen.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.signals.borrow().close
    }

    /// The signals so far.
    pub(crate) fn see(&mut self) -> Signals {
        *self.signals.borrow_and_update()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut lines = self.bus.lines();
        // A newer connection may have taken the place.
        if lines.get(&self.key).is_some_and(|sender| sender.subscribe().same_channel(&self.signals)) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
