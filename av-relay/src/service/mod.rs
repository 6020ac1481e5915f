//! What the relay does: one function a call, each in one tenant-scoped transaction; messages and acknowledgements in
//! those of the writers. Doors parse and reply, the store stores; the rules are here.
//!
//! A function commits before it signals anybody, and answers after it committed.

mod api_key;
mod approve;
mod authenticate;
mod enroll;
mod found;
mod inbox;
mod invite;
mod prekeys;
mod recertify;
mod refusal;
mod send;
mod statement;

use std::sync::Arc;

use av_wire::ids::{DeviceId, Origin, TenantId};
use av_wire::public::Role;

pub(crate) use self::authenticate::{Authentication, Welcome};
pub(crate) use self::enroll::Enrollment;
pub(crate) use self::refusal::Refusal;
use crate::bus::Bus;
use crate::store::{DeviceStatus, Store, TenantTx};
use crate::writer::Writers;

/// An authenticated device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
}

/// The relay's services over one database.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    store: Store,
    bus: Arc<Bus>,
    writers: Arc<Writers>,
    origin: Origin,
    founding: Founding,
}

/// Whether whoever reaches the relay may found a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Founding {
    /// Anybody may: for a relay on one machine, or while its operator founds his own.
    Open,
    /// Nobody may.
    Closed,
}

impl Relay {
    /// A relay that devices know as `origin`. To be called on the runtime that it shall use.
    pub(crate) fn new(store: Store, origin: Origin, founding: Founding) -> Self {
        let bus = Arc::new(Bus::default());
        let writers = Arc::new(Writers::start(&store, &bus));
        Self { store, bus, writers, origin, founding }
    }

    /// The origin that devices have to sign.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// A transaction for the actor's tenant, if the actor is in good standing now.
    async fn as_active(&self, actor: &Actor) -> Result<TenantTx, Refusal> {
        let tx = self.store.tenant(actor.tenant).await?;
        match tx.standing(&actor.device).await? {
            Some((DeviceStatus::Active, _)) => Ok(tx),
            _ => Err(Refusal::NotAuthorized),
        }
    }

    /// The same for what only owners may do.
    async fn as_owner(&self, actor: &Actor) -> Result<TenantTx, Refusal> {
        let tx = self.store.tenant(actor.tenant).await?;
        match tx.standing(&actor.device).await? {
            Some((DeviceStatus::Active, Role::Owner)) => Ok(tx),
            _ => Err(Refusal::NotAuthorized),
        }
    }

    /// The same for what changes who may do what: such calls of one tenant come one after the other, and each
    /// sees what the one before it did.
    async fn as_authority(&self, actor: &Actor) -> Result<TenantTx, Refusal> {
        let tx = self.store.tenant(actor.tenant).await?;
        tx.lock_authority().await?;
        match tx.standing(&actor.device).await? {
            Some((DeviceStatus::Active, Role::Owner)) => Ok(tx),
            _ => Err(Refusal::NotAuthorized),
        }
    }
}

#[cfg(test)]
mod tests;
