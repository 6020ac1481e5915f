//! `av-relay` as a process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by panicking")]

mod database_tls;
mod dev;
mod process;
mod serve;
