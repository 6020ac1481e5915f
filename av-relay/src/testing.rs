//! What the crate's tests share: a real cluster, and devices that sign as devices do.

mod cluster;
mod device;
mod proxy;
mod rewriter;
mod tenant;

use std::future::Future;
use std::time::{Duration, Instant};

pub(crate) use self::cluster::{TestCluster, binaries, scratch_folder, shared};
pub(crate) use self::device::{TestDevice, random};
pub(crate) use self::proxy::Proxy;
pub(crate) use self::rewriter::Rewriter;
pub(crate) use self::tenant::{
    ORIGIN, Tenant, certify_by_root, enroll, in_an_hour, relay, relay_as, relay_on,
};

/// Long enough for a machine that has other things to do.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What comes at once when all is well; what has not come by the deadline does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap()
}

/// Waits until the condition holds: the one place where tests let time pass.
pub(crate) async fn wait_until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "in vain waited until {what}");
        tokio::time::sleep(POLL).await;
    }
}
