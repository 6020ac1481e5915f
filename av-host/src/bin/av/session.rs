//! An owner's device for the length of one command: open, connected, and closed again whatever happened.

use av_host::av_proto::{Event, Phase};
use av_host::{Notice, Owner, StoredDevice};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::lock::unlock;
use crate::{Global, home};

/// Opens the owner's state without connecting.
pub(crate) fn open(global: &Global) -> Result<StoredDevice, Failure> {
    let directory = home::directory(global)?;
    if !av_host::store::Store::exists(&directory) {
        return Err(Failure::state(format!(
            "{} holds no AgentVault state; found a tenant first: av init --relay ws://127.0.0.1:7460",
            directory.display()
        )));
    }
    let unlock = unlock(&directory, global.key_file.as_deref())?;
    let mut stored = StoredDevice::open(&directory, &unlock)?;
    match stored.endpoint().phase() {
        Phase::Active => Ok(stored),
        Phase::Founding | Phase::Empty => {
            Err(Failure::failed("the tenant is not founded yet: run `av init` again"))
        }
        Phase::Enrolling | Phase::Granted => Err(Failure::failed("this device is not approved yet")),
    }
}

/// Runs `command` on the connected owner's device; Ctrl-C and SIGTERM end it with the state closed.
pub(crate) async fn with_owner(
    global: &Global,
    command: impl AsyncFnOnce(&mut Owner) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut owner = Owner::start(open(global)?)?;
    let outcome = tokio::select! {
        outcome = async {
            wait_for(&mut owner, |event| matches!(event, Event::Authenticated).then_some(Ok(()))).await?;
            command(&mut owner).await
        } => outcome,
        () = interrupted() => Err(Failure::interrupted()),
    };
    finish(owner, outcome).await
}

/// Closes the device. If it had stopped by itself, the reason for that is the outcome.
pub(crate) async fn finish(owner: Owner, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match owner.close().await {
        Ok(()) => outcome,
        Err(stopped) => Err(stopped.into()),
    }
}

/// Whether a lost connection ends a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It does: whoever typed the command learns why it is not done.
    OneConnection,
    /// The device connects again by itself, and asks again.
    Reconnects,
}

/// Waits for an event that `is_it` has an answer to, or for the end of the connection.
pub(crate) async fn wait_for<T>(
    owner: &mut Owner,
    is_it: impl FnMut(&Event) -> Option<Result<T, Failure>>,
) -> Result<T, Failure> {
    wait_with(Patience::OneConnection, owner, is_it).await
}

/// Waits for an event that `is_it` has an answer to.
pub(crate) async fn wait_with<T>(
    patience: Patience,
    owner: &mut Owner,
    mut is_it: impl FnMut(&Event) -> Option<Result<T, Failure>>,
) -> Result<T, Failure> {
    loop {
        match owner.device().next().await {
            Some(Notice::Event(event)) => {
                if let Some(result) = is_it(&event) {
                    return result;
                }
                refusal(&event)?;
            }
            // Not confirmed, so it is offered again to whoever asks for messages.
            Some(Notice::Message(_)) => {}
            Some(Notice::Disconnected(error)) if patience == Patience::OneConnection => {
                return Err(error.into());
            }
            Some(Notice::Disconnected(error)) => tracing::warn!("{error}; trying again"),
            None => return Err(Failure::failed("the device stopped")),
        }
    }
}

/// Events after which an owner's command cannot go on.
pub(crate) fn refusal(event: &Event) -> Result<(), Failure> {
    match event {
        Event::NotAuthorized => Err(Failure::refused(
            "the relay does not let this device in: it was revoked or suspended, or this is not its relay",
        )),
        Event::Superseded => Err(Failure::failed(
            "another process runs as this device, from a copy of its state; end one of them",
        )),
        _ => Ok(()),
    }
}

/// Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending().await },
        () = terminate => {}
    }
}
