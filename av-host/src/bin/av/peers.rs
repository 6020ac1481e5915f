//! `av peers`: the devices that this one knows. Reads the state only; no relay is needed.

use av_host::av_proto::Standing;
use av_host::av_proto::wire::Role;

use crate::Global;
use crate::failure::Failure;
use crate::session;
use crate::terminal::{Escaped, say};

pub(crate) fn run(global: &Global) -> Result<(), Failure> {
    let peers = session::open(global)?.peers();
    if peers.is_empty() {
        say!("No peers yet. Next: av invite")?;
    }
    for peer in peers {
        let role = if peer.role == Role::Owner { "OWNER" } else { "agent" };
        let session = if peer.confirmed { "confirmed" } else { "not confirmed yet" };
        say!(
            "{}  {role}  {}, {session}\n  id           {}\n  fingerprint  {}",
            Escaped(&peer.name),
            standing(peer.standing),
            peer.device_id,
            peer.fingerprint.groups()
        )?;
    }
    Ok(())
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Approved => "approved",
        Standing::Active => "active",
        Standing::Suspended => "suspended",
        Standing::Uncertified => "uncertified",
        Standing::Revoked => "revoked",
    }
}
