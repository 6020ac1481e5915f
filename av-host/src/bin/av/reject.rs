//! `av reject`: turn an enrollment request down.

use av_host::av_proto::Event;
use clap::Args;

use crate::Global;
use crate::approve::{is_named, list};
use crate::failure::Failure;
use crate::session::{Patience, wait_for, with_owner};
use crate::terminal::{Escaped, say};

/// Turn an enrollment request down, for good
#[derive(Args)]
pub(crate) struct Reject {
    /// Name, or beginning of the id or fingerprint, of the device that asks
    device: String,
}

impl Reject {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        with_owner(global, async |owner| {
            let requests = list(owner, Patience::OneConnection).await?;
            let mut meant = requests.iter().filter(|request| is_named(request, &self.device));
            let device = match (meant.next(), meant.next()) {
                (Some(request), None) => request.device_id,
                (None, _) => {
                    return Err(Failure::usage(format!(
                        "no request is from {}; see: av approve",
                        Escaped(&self.device)
                    )));
                }
                (Some(_), Some(_)) => {
                    return Err(Failure::usage(format!(
                        "several requests could be {}; give more of the id, see: av approve",
                        Escaped(&self.device)
                    )));
                }
            };
            owner.reject(device).await?;
            wait_for(owner, |event| match event {
                Event::Rejected(rejected) if *rejected == device => Some(Ok(())),
                Event::RejectionFailed(failed, code) if *failed == device => {
                    Some(Err(Failure::refused_with("the relay does not take the rejection", *code)))
                }
                _ => None,
            })
            .await?;
            say!("Rejected {device}.")?;
            Ok(())
        })
        .await
    }
}
