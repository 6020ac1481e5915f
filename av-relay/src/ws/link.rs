//! The relay's side of opening the Noise link (`PROTOCOL.md` section 9): the first two messages of a connection.

use std::time::Duration;

use av_wire::ids::Origin;
use hyper_tungstenite::HyperWebsocketStream;
use tokio::time::timeout;

use super::channel::Channel;
use super::end::End;
use super::socket::{message, write};
use crate::link_keys::LinkKeys;

/// For the device's first message, which it makes before it connects.
const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for the device's first message and answers it.
///
/// # Errors
/// [`End::NotLinked`] for a message that is for another relay or for none, to which nothing is answered.
pub(super) async fn open(
    stream: &mut HyperWebsocketStream,
    origin: &Origin,
    keys: &LinkKeys,
) -> Result<Channel, End> {
    let hello = timeout(DEADLINE, message(stream)).await.map_err(|_| End::TimedOut)??;
    let (link, answer) = keys.respond(origin, &hello).map_err(|_| End::NotLinked)?;
    write(stream, answer.to_vec()).await?;
    Ok(Channel::Noise(Box::new(link)))
}
