//! AgentVault on a computer: what the protocol's state machine, `av-proto`, does not have itself.
//!
//! ```text
//! Owner, Agent ─▶ Device ─▶ driver ─▶ av-proto's endpoint
//!                             ├─▶ store      sealed records, one transactional file ◀─ keystore
//!                             └─▶ transport  WebSocket to the relay, reconnect with backoff
//! ```
//!
//! A module uses what stands to its right or below it. An agent in ten lines:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use av_host::{Agent, StoredDevice, Unlock, read_invite};
//!
//! let unlock = Unlock::KeyFile("agent.key".into());
//! let state = StoredDevice::create("state".as_ref(), &unlock)?;
//! let invite = read_invite("av1:?relay=…#…", None)?;
//! let mut agent = Agent::enroll(state, &invite, "thermostat")?;
//! while let Some(message) = agent.next_message().await {
//!     let answer = message.payload.to_ascii_uppercase();
//!     agent.device().answer(&message, answer).await?;
//! }
//! agent.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The first run enrolls; later runs begin with [`Agent::open`]. A message is offered until it is confirmed, always
//! under the same id. An answer and the confirmation of its message are one commit: whatever crashes, both happened
//! or neither.
#![forbid(unsafe_code)]

mod agent;
mod clock;
mod device;
mod directory;
mod driver;
mod error;
pub mod files;
pub mod keystore;
mod notice;
mod owner;
mod randomness;
pub mod store;
pub mod transport;

pub use agent::{Agent, read_invite};
pub use device::{Device, DeviceIdentity, Peer, StoredDevice};
pub use error::Error;
pub use keystore::Unlock;
pub use notice::{Message, Notice};
pub use owner::Owner;

pub use av_proto;
