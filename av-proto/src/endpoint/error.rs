//! What can go wrong at the endpoint, by who has to act (`PROTOCOL.md` sections 8 and 9).

use core::fmt;

use av_wire::DeviceId;

use crate::error::CodecError;
use crate::record::SealError;

/// A command that cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// This endpoint already has an identity; begin with an empty one.
    NotEmpty,
    /// The command needs an active device; enrollment or founding is not finished.
    NotActive,
    /// Only an owner's device may do this.
    NotOwner,
    /// No such peer, invite or request.
    Unknown,
    /// A name is empty, longer than its limit, or has control characters.
    InvalidName,
    /// No room for another one; see `limits`.
    Full,
    /// The peer is not in memory: lend it, then say it again ([`Endpoint::lend`](super::Endpoint::lend)).
    NeedPeer(DeviceId),
    /// A ticket was used before.
    TicketUsed,
    /// Something did not fit that always should; please report it.
    Bug,
}

/// A message that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// This device has no such peer.
    UnknownPeer,
    /// There is no session with the peer yet; its first message has to come.
    NotReady,
    /// The peer is suspended or revoked.
    PeerNotActive,
    /// An owner has said more than this device has: the peer could be revoked.
    StatementsMissing,
    /// The message with its overhead is larger than the peer takes.
    TooLong,
    /// The relay has not taken earlier messages yet; try again after an `Accepted`.
    OutboxFull,
    /// The peer is not in memory: lend it, then send again ([`Endpoint::lend`](super::Endpoint::lend)).
    NeedPeer(DeviceId),
    /// The ticket was used before.
    TicketUsed,
    /// Something did not fit that always should; please report it.
    Bug,
}

/// A request that cannot be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApproveError {
    /// No such request was shown, or it did not verify.
    NoSuchRequest,
    /// The invite expired by this device's clock, or was burnt, leaked or used. Make a new one.
    InviteOver,
    /// No room for another peer.
    PeersFull,
    /// The device may be a peer that is not in memory: lend it or say that it has no record, then approve again.
    NeedPeer(DeviceId),
    /// The relay has not taken earlier calls yet; try again when it has.
    OutboxFull,
    /// Another owner has said more than this device has.
    StatementsMissing,
    /// Only an active owner's device approves.
    NotOwner,
    /// Something did not fit that always should; please report it.
    Bug,
}

/// Why a frame was not taken. Unless it is [`ConnectionError::NeedPeer`], the connection must be closed; the next
/// one begins afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// The frame is about a peer that is not in memory, and changed nothing: lend the peer or say that it has no
    /// record, and feed the frame again ([`Endpoint::lend`](super::Endpoint::lend)). Only where peers are lent.
    NeedPeer(DeviceId),
    /// The relay sent what AV/1 does not allow here.
    Violation,
    /// The relay asks to reconnect.
    Moved,
    /// A message was passed over until its sender's chain came, and now it has: the relay delivers it again on the next
    /// connection.
    Redeliver,
    /// The relay asks to wait this many seconds first.
    RetryAfter(u32),
    /// Nothing went out: the connection is plain, or its relay is not the one of this device's link key.
    Insecure,
}

/// Why stored records cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// A record does not open: another key, or damaged bytes.
    DoesNotOpen,
    /// A record was written by a newer version of this crate.
    TooNew,
    /// A record opened, and is not what its place should hold.
    Damaged,
    /// The store holds more peers, messages or invites than this endpoint has room for.
    TooMany,
    /// Peers were fed before the outbox, and one that it writes to is not in memory: feed peers last.
    PeersFirst,
}

/// Why a peer was not brought into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LendError {
    /// Its record cannot be used.
    Record(RestoreError),
    /// Every peer in memory has work to do. What asked for this one has to wait: a frame, by closing the connection.
    NoRoom,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEmpty => "this device already has an identity",
            Self::NotActive => "this device is not active yet",
            Self::NotOwner => "only an owner's device may do this",
            Self::Unknown => "there is no such peer or request",
            Self::InvalidName => "a name has 1 to 40 bytes and no control or invisible characters",
            Self::Full => "there is no room for another one",
            Self::NeedPeer(_) => "the peer's record has to be lent first",
            Self::TicketUsed => "this message was already confirmed",
            Self::Bug => "internal error: something did not fit",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPeer => "there is no such peer",
            Self::NotReady => "there is no session with this peer yet",
            Self::PeerNotActive => "this peer is suspended or revoked",
            Self::StatementsMissing => "the relay withholds what an owner said",
            Self::TooLong => "the message is longer than the peer takes",
            Self::OutboxFull => "earlier messages wait for the relay to take them",
            Self::NeedPeer(_) => "the peer's record has to be lent first",
            Self::TicketUsed => "this message was already confirmed",
            Self::Bug => "internal error: something did not fit",
        })
    }
}

impl fmt::Display for ApproveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchRequest => "there is no such verified request",
            Self::InviteOver => "the invite is expired, used or withdrawn; make a new one",
            Self::PeersFull => "there is no room for another peer: revoke one that is no longer used",
            Self::NeedPeer(_) => "the device's record has to be lent first",
            Self::OutboxFull => "earlier calls wait for the relay; try again later",
            Self::StatementsMissing => "the relay withholds what another owner said",
            Self::NotOwner => "only an active owner's device approves",
            Self::Bug => "internal error: something did not fit",
        })
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedPeer(_) => f.write_str("the sender's record has to be lent first"),
            Self::Violation => f.write_str("the relay broke the protocol"),
            Self::Moved => f.write_str("the relay asks to reconnect"),
            Self::Redeliver => {
                f.write_str("a message's sender is known now, and the relay has to deliver it again")
            }
            Self::RetryAfter(seconds) => write!(f, "the relay asks to wait {seconds} s"),
            Self::Insecure => f.write_str("the connection is not protected as this device demands"),
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoesNotOpen => "a record does not open: wrong passphrase or key, or damaged",
            Self::TooNew => "a record was written by a newer version; update this program",
            Self::Damaged => "a record is damaged",
            Self::TooMany => "the store holds more than this device has room for",
            Self::PeersFirst => "peers were restored before the outbox",
        })
    }
}

impl fmt::Display for LendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::NoRoom => f.write_str("every peer in memory has work to do"),
        }
    }
}

impl From<SealError> for RestoreError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooNew => Self::TooNew,
            SealError::DoesNotOpen | SealError::TooLong => Self::DoesNotOpen,
        }
    }
}

impl From<CodecError> for RestoreError {
    fn from(_: CodecError) -> Self {
        Self::Damaged
    }
}

impl core::error::Error for EndpointError {}
impl core::error::Error for SendError {}
impl core::error::Error for ApproveError {}
impl core::error::Error for ConnectionError {}
impl core::error::Error for RestoreError {}
impl core::error::Error for LendError {}
