//! Removing what expired: messages that nobody fetched, and receipts that no retry needs any more.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::store::{Store, StoreError};

/// Between two rounds. Nothing depends on when exactly something that expired is gone.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes what expired, for ever. Relays on one database do not get into each other's way.
pub(crate) async fn run(store: &Store) -> Infallible {
    loop {
        if let Err(error) = round(store).await {
            tracing::warn!(%error, "what expired was not all removed");
        }
        sleep(PERIOD).await;
    }
}

/// Removes all that expired until now, a little at a time.
pub(crate) async fn round(store: &Store) -> Result<(), StoreError> {
    loop {
        let removed = store.expiry().await?.remove().await?;
        if removed.messages > 0 {
            tracing::info!(messages = removed.messages, "messages expired: their recipients never came");
        }
        if !removed.is_full() {
            return Ok(());
        }
    }
}
