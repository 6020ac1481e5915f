//! A seeded, rude network for AV/1 endpoints: for property tests, and for the fuzzer's `conversation`.
//!
//! ```text
//! Choices ─▶ World ─┬─▶ Device (endpoint, store, application) ─▶ Watch (keys and nonces that sealed)
//!  (a seed,         ├─▶ Relay (inboxes, cursors, epochs, frames in flight)
//!   or bytes)       └─▶ Ledger (what was sent, and what became of it)
//! ```
//!
//! One virtual clock and no threads: a run follows from its choices alone, so a failing seed fails again. Each
//! [`World::step`] checks what must hold at any moment; [`World::rest`] checks what must hold once the network is
//! kind again. A [`Violation`] names the promise that was broken and carries the last steps.

mod choices;
mod device;
mod ledger;
mod machine;
mod manners;
mod relay;
mod watch;
mod world;

pub use choices::Choices;
pub use device::{Device, Store};
pub use ledger::{Fate, Ledger, Violation};
pub use machine::{Capacity, Machine};
pub use manners::Manners;
pub use relay::Relay;
pub use watch::Watched;
pub use world::World;

/// Runs `work` on a stack that holds a large endpoint a few times over: a debug build moves it when it is made.
///
/// # Errors
/// What `work` returns; [`Violation`] also when the system gives no thread. A panic goes on in the caller.
pub fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, Violation> + Send) -> Result<T, Violation> {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let joined = thread.map_err(|error| Violation::new(error.to_string()))?.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
