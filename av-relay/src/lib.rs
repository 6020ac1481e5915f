//! The AV/1 relay: keeps and passes on what devices of a tenant send each other, and can read none of it.
//!
//! ```text
//! server ─▶ ws ─▶ service ─▶ writer ─▶ store ─▶ PostgreSQL    audit_rls: asked before anything starts
//!            └──── bus ◀────────┘       ▲                     serve: a relay that its operator configured
//!                           janitor ────┘                     dev: a whole relay on one machine, its database too
//! ```
//!
//! A module uses what stands to its right. The relay is built on `av-wire` alone, which holds no secret key and
//! no cipher. Callers own the outside: a listener, a [`store::Store`], and when to end.

#![forbid(unsafe_code)]

mod audit_rls;
#[cfg(feature = "bench")]
pub mod bare;
mod bus;
mod config;
pub mod dev;
mod drain;
mod encoded;
mod files;
mod janitor;
mod limits;
mod link_keys;
mod process;
pub mod serve;
mod server;
mod service;
pub mod store;
mod tls;
mod writer;
mod ws;

pub use config::ConfigError;
pub use link_keys::LinkKeyError;
pub use process::ListenError;
pub(crate) use service::{Founding, Relay};
pub use tls::CertificateError;

#[cfg(test)]
mod testing;
