//! The harness of the end-to-end tests: real programs as processes, a real relay with its PostgreSQL, real sockets.
//!
//! ```text
//! scenario ──▶ relay │ owner │ agent ──▶ process ──▶ folder, wait
//!          ──▶ founder ──▶ device ──▶ connection  (clients that say what no honest device says)
//!          ──▶ client ──▶ connection            (an endpoint whose frames and records the test holds)
//!          ──▶ recorder ──▶ websocket           (everything that went over the wire, unmasked)
//!          ──▶ search ──▶ database              (is a secret anywhere? a canary shows that it would be found)
//! ```
//!
//! Nothing here sleeps but [`wait::wait_until`]; everything started is ended by its process id when its value is
//! dropped, after a panic too.
#![forbid(unsafe_code)]

pub mod agent;
pub mod blindness;
pub mod client;
pub mod connection;
pub mod database;
pub mod device;
pub mod folder;
pub mod founder;
pub mod invite;
pub mod owner;
pub mod process;
pub mod programs;
pub mod recorder;
pub mod relay;
pub mod search;
pub mod shared;
pub mod wait;

/// What went wrong, in words; tests and the demo print it and stop.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a step of a test or of the demo comes to.
pub type Outcome<T = ()> = Result<T, Failure>;
