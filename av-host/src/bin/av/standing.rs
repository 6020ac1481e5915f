//! `av revoke`, `av suspend`, `av resume`: an owner's signed word on a device.

use av_host::av_proto::wire::statement::Verdict;
use av_host::av_proto::{Event, Standing};
use clap::Args;

use crate::Global;
use crate::failure::Failure;
use crate::peer;
use crate::session::{wait_for, with_owner};
use crate::terminal::{Escaped, say};

/// The device it is about.
#[derive(Args)]
#[command(after_help = "PEER is a name, or the beginning of an id or fingerprint; see: av peers")]
pub(crate) struct Target {
    /// Name, or beginning of the id or fingerprint
    peer: String,
}

/// What can be said of a device.
#[derive(Clone, Copy)]
enum Word {
    Revoke,
    Suspend,
    Resume,
}

impl Word {
    const fn verdict(self) -> Verdict {
        match self {
            Self::Revoke => Verdict::Revoked,
            Self::Suspend => Verdict::Suspended,
            Self::Resume => Verdict::Resumed,
        }
    }
}

impl Target {
    pub(crate) async fn revoke(self, global: &Global) -> Result<(), Failure> {
        self.say_of(global, Word::Revoke, "revoked for good").await
    }

    pub(crate) async fn suspend(self, global: &Global) -> Result<(), Failure> {
        self.say_of(global, Word::Suspend, "suspended").await
    }

    pub(crate) async fn resume(self, global: &Global) -> Result<(), Failure> {
        self.say_of(global, Word::Resume, "resumed").await
    }

    async fn say_of(self, global: &Global, word: Word, done: &str) -> Result<(), Failure> {
        with_owner(global, async |owner| {
            let peers = owner.device().peers().await?;
            let peer = peer::find(&peers, &self.peer)?;
            if peer.standing == Standing::Revoked {
                let name = Escaped(&peer.name);
                return Err(Failure::refused(format!(
                    "{name} is revoked, which is final; av invite enrolls it anew"
                )));
            }
            match word {
                Word::Revoke => owner.revoke(peer.device_id).await?,
                Word::Suspend => owner.suspend(peer.device_id).await?,
                Word::Resume => owner.resume(peer.device_id).await?,
            }
            wait_for(owner, |event| match event {
                Event::StatementPosted(device, posted)
                    if *device == peer.device_id && *posted == word.verdict() =>
                {
                    Some(Ok(()))
                }
                Event::StatementFailed(device, code) if *device == peer.device_id => {
                    Some(Err(Failure::refused_with("the relay does not publish this", *code)))
                }
                _ => None,
            })
            .await?;
            say!("{} is {done}.", Escaped(&peer.name))?;
            Ok(())
        })
        .await
    }
}
