//! All peers of a device: the store has them, the endpoint's memory those that are in use.

use std::collections::BTreeMap;

use av_proto::wire::DeviceId;
use av_proto::{
    ApproveError, ConnectionError, EndpointError, HostEndpoint, LendError, Now, PeerRecord, PeerView,
    RecordKey, Seal, SendError,
};
use rand_core::CryptoRng;

use crate::device::Peer;
use crate::error::Error;
use crate::store::Store;

/// Peers that a device may have: far more than one person's devices and agents, and a table of ten megabytes.
pub(crate) const MOST_PEERS: u16 = 10_000;

/// What is kept in memory of every peer.
#[derive(Default)]
pub(crate) struct Directory {
    peers: BTreeMap<DeviceId, (Peer, PeerRecord)>,
}

impl Directory {
    /// Notes a peer as it is now.
    pub(crate) fn note(&mut self, view: PeerView) {
        let record = view.record;
        self.peers.insert(view.device_id, (Peer::from(view), record));
    }

    /// Forgets the peer whose record is gone.
    pub(crate) fn forget(&mut self, key: RecordKey) {
        self.peers.retain(|_, (_, record)| record.key() != key);
    }

    /// The peers, by id.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.peers.values().map(|(peer, _)| peer.clone()).collect()
    }
}

/// What an input is fed with.
pub(crate) struct Inputs<'d> {
    pub(crate) endpoint: &'d mut HostEndpoint,
    pub(crate) now: Now,
    pub(crate) rng: &'d mut dyn CryptoRng,
    pub(crate) directory: &'d Directory,
    pub(crate) store: &'d Store,
    pub(crate) seal: &'d Seal,
}

impl Inputs<'_> {
    /// Feeds an input, and again after each peer that it turns out to be about was lent: an input that needs a peer
    /// has changed nothing.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Store`]: the input was not fed. The inner error is the input's own.
    pub(crate) fn feed<T, E: NeedsPeer>(
        &mut self,
        mut input: impl FnMut(&mut HostEndpoint, Now, &mut dyn CryptoRng) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error> {
        loop {
            let result = input(self.endpoint, self.now, self.rng);
            match result.as_ref().err().and_then(NeedsPeer::needed) {
                Some(peer) => self.lend(peer)?,
                None => return Ok(result),
            }
        }
    }

    fn lend(&mut self, peer: DeviceId) -> Result<(), Error> {
        let Some((_, record)) = self.directory.peers.get(&peer) else {
            self.endpoint.has_no_record(peer);
            return Ok(());
        };
        let sealed = self.store.record(record.key().to_bytes())?;
        match self.endpoint.lend(self.now, self.seal, record, &sealed) {
            Ok(()) => Ok(()),
            Err(LendError::NoRoom) => Err(Error::Busy),
            Err(LendError::Record(error)) => Err(self.store.damaged(error).into()),
        }
    }
}

/// An input's error that may say whom it needs.
pub(crate) trait NeedsPeer {
    /// The peer that has to be in memory first.
    fn needed(&self) -> Option<DeviceId>;
}

macro_rules! needs_peer {
    ($($error:ty),*) => {$(
        impl NeedsPeer for $error {
            fn needed(&self) -> Option<DeviceId> {
                match self {
                    Self::NeedPeer(peer) => Some(*peer),
                    _ => None,
                }
            }
        }
    )*};
}

needs_peer!(ApproveError, ConnectionError, EndpointError, SendError);
