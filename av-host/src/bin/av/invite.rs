//! `av invite`: make a single-use invite.

use std::time::Duration;

use av_host::Error;
use av_host::av_proto::limits::INVITES;
use av_host::av_proto::wire::Role;
use av_host::av_proto::wire::limits::MAX_INVITE_SECONDS;
use av_host::av_proto::{EndpointError, Event, InviteUrl};
use clap::Args;

use crate::Global;
use crate::failure::Failure;
use crate::session::{wait_for, with_owner};
use crate::terminal::{hint, say};

/// Make a single-use invite
#[derive(Args)]
#[command(
    after_help = "Examples:\n  av invite\n  av invite --expires 1h\n\nWhoever enrolls first with an invite is taken for the agent: pass it on where nobody else reads it, and compare\nthe fingerprint when you approve."
)]
pub(crate) struct Invite {
    /// How long it can be used, at most 7 days
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = lifetime)]
    expires: u32,
}

impl Invite {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        with_owner(global, async |owner| {
            let (token, lookup) = match owner.create_invite(Role::Agent, self.expires).await {
                Err(Error::Command(EndpointError::Full)) => {
                    return Err(Failure::failed(format!(
                        "this device keeps {INVITES} invites, used ones too, each until its time is over: try again \
                         when the first of them has expired"
                    )));
                }
                made => made?,
            };
            // Given away only once the relay knows it: an invite that does not work looks like a theft.
            wait_for(owner, |event| match event {
                Event::InviteReady(ready) if *ready == lookup => Some(Ok(())),
                Event::InviteFailed(failed, code) if *failed == lookup => {
                    Some(Err(Failure::refused_with("the relay does not take the invite", *code)))
                }
                _ => None,
            })
            .await?;
            let identity =
                owner.device().identity().await?.ok_or_else(|| Failure::failed("the device stopped"))?;
            let url =
                InviteUrl { token, origin: identity.origin, link_key: identity.link_key, owner: Some(identity.device_id) };
            say!("{url}\n{}", url.token)?;
            let lifetime = humantime::format_duration(Duration::from_secs(u64::from(self.expires)));
            hint!("good once, for {lifetime}. Next: av approve --wait");
            Ok(())
        })
        .await
    }
}

fn lifetime(text: &str) -> Result<u32, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 10m or 2h"))?;
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| (1..=MAX_INVITE_SECONDS).contains(seconds))
        .ok_or_else(|| "an invite lasts from 1s to 7days".to_owned())
}
