//! Word that the relay is about to end.

use tokio::sync::watch;

/// Heard by every connection.
#[derive(Clone, Debug)]
pub(crate) struct Drain(watch::Receiver<bool>);

/// Says it.
#[derive(Debug)]
pub(crate) struct DrainSwitch(watch::Sender<bool>);

impl Drain {
    /// A switch, and what it switches.
    pub(crate) fn new() -> (DrainSwitch, Self) {
        let (sender, receiver) = watch::channel(false);
        (DrainSwitch(sender), Self(receiver))
    }

    /// Waits until the relay is about to end; also when the switch is gone. Cancel safe.
    pub(crate) async fn started(&mut self) {
        let _ = self.0.wait_for(|started| *started).await;
    }
}

impl DrainSwitch {
    /// From here on nobody stays.
    pub(crate) fn start(&self) {
        self.0.send_replace(true);
    }
}
