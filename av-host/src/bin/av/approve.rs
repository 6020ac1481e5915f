//! `av approve`: show enrollment requests and let one in.

use std::collections::HashSet;
use std::time::Duration;

use av_host::av_proto::wire::{DeviceId, Role};
use av_host::av_proto::{Event, RequestVerdict, RequestView};
use av_host::{Notice, Owner};
use clap::Args;

use crate::Global;
use crate::failure::Failure;
use crate::peer::is_prefix;
use crate::session::{Patience, refusal, wait_for, wait_with, with_owner};
use crate::terminal::{Escaped, confirm, is_interactive, say};

/// The relay hints when a request comes in, but nothing may depend on a hint: so often the list is fetched anyway.
const LIST_PERIOD: Duration = Duration::from_secs(15);

/// How long an approved device that is online has for its activation and first message; one that is not takes up
/// its approval later.
const CONFIRMATION_WAIT: Duration = Duration::from_secs(10);

/// Digits of a fingerprint: 8 groups of 5.
const FINGERPRINT_DIGITS: usize = 40;

/// Show enrollment requests and let one in
#[derive(Args)]
#[command(
    after_help = "Examples:\n  av approve --wait\n  av approve --fingerprint \"12345 67890 …\"      without asking, exactly that device\n\nCompare the fingerprint with what the device itself shows, over a way that nobody else can change."
)]
pub(crate) struct Approve {
    /// Wait until a request comes
    #[arg(long)]
    wait: bool,
    /// Approve the device with exactly this fingerprint, 8 groups of 5 digits, without asking
    #[arg(long, value_name = "DIGITS", value_parser = fingerprint)]
    fingerprint: Option<String>,
    /// Name, or beginning of the id or fingerprint, when several wait
    device: Option<String>,
}

impl Approve {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        with_owner(global, async |owner| {
            let mut shown = HashSet::new();
            let patience = if self.wait { Patience::Reconnects } else { Patience::OneConnection };
            loop {
                let requests = list(owner, patience).await?;
                if let Some(chosen) = self.choose(&requests, &mut shown).await? {
                    return approve(owner, chosen).await;
                }
                if !self.wait {
                    return Err(Failure::failed(if requests.is_empty() {
                        "no enrollment request waits; `av approve --wait` waits for one"
                    } else {
                        "nothing was approved"
                    }));
                }
                if shown.is_empty() {
                    say!("Waiting for an enrollment request; Ctrl-C ends this.")?;
                }
                wait_for_request(owner).await?;
            }
        })
        .await
    }

    /// Shows what is new, and finds the request to approve.
    async fn choose<'r>(
        &self,
        requests: &'r [RequestView],
        shown: &mut HashSet<DeviceId>,
    ) -> Result<Option<&'r RequestView>, Failure> {
        let mut alarm = None;
        let mut candidates = Vec::new();
        for request in requests {
            if shown.insert(request.device_id) {
                show(request)?;
            }
            match request.verdict {
                RequestVerdict::TagVerified if self.is_meant(request) => candidates.push(request),
                _ if is_alarm(request) => alarm = Some(request),
                _ => {}
            }
        }
        match (candidates.as_slice(), alarm) {
            ([], Some(request)) => Err(alarm_failure(request)),
            ([], None) => Ok(None),
            ([request], _) if self.fingerprint.is_some() => Ok(Some(request)),
            _ if !is_interactive() => Err(Failure::usage(
                "nobody can be asked here: compare the fingerprint and give it with --fingerprint",
            )),
            (candidates, _) => {
                for request in candidates {
                    if confirm(format!("Approve {}?", title(request))).await? {
                        return Ok(Some(request));
                    }
                }
                Err(Failure::failed("nothing was approved; `av reject` turns a request down for good"))
            }
        }
    }

    fn is_meant(&self, request: &RequestView) -> bool {
        let groups = request.fingerprint.groups().to_string();
        let by_fingerprint = self.fingerprint.as_ref().is_none_or(|wanted| *wanted == digits(&groups));
        let by_name = self.device.as_ref().is_none_or(|wanted| is_named(request, wanted));
        by_fingerprint && by_name
    }
}

/// Whether a person means this request: its name, or the beginning of its id or fingerprint.
pub(crate) fn is_named(request: &RequestView, wanted: &str) -> bool {
    request.name.as_str() == wanted
        || is_prefix(wanted, &request.device_id.to_string(), &request.fingerprint.groups().to_string())
}

/// What the relay holds for this tenant, and what this device makes of each.
pub(crate) async fn list(owner: &mut Owner, patience: Patience) -> Result<Vec<RequestView>, Failure> {
    let requests = list_once(owner, patience).await?;
    // A request can void one that stood before it in the same list; the next list says so of both.
    if requests.iter().any(is_alarm) { list_once(owner, patience).await } else { Ok(requests) }
}

fn is_alarm(request: &RequestView) -> bool {
    matches!(request.verdict, RequestVerdict::Attack | RequestVerdict::TokenLeaked { .. })
}

async fn list_once(owner: &mut Owner, patience: Patience) -> Result<Vec<RequestView>, Failure> {
    owner.list_pending().await?;
    let mut requests = Vec::new();
    wait_with(patience, owner, |event| match event {
        Event::EnrollmentRequest(request) => {
            requests.push(request.clone());
            None
        }
        Event::PendingListed => Some(Ok(())),
        _ => None,
    })
    .await?;
    Ok(requests)
}

async fn approve(owner: &mut Owner, request: &RequestView) -> Result<(), Failure> {
    let device = request.device_id;
    owner.approve(device).await?;
    let mut is_confirmed = false;
    wait_for(owner, |event| match event {
        Event::Approved(approved) if *approved == device => Some(Ok(())),
        // A device that is online may be quicker than the relay's answer to this one.
        Event::PeerConfirmed(confirmed) if *confirmed == device => {
            is_confirmed = true;
            None
        }
        Event::ApprovalFailed(failed, code) if *failed == device => {
            Some(Err(Failure::refused_with("the relay does not take the approval", *code)))
        }
        _ => None,
    })
    .await?;
    say!("Approved {}.", title(request))?;
    let confirmation = wait_for(owner, |event| match event {
        Event::PeerConfirmed(confirmed) if *confirmed == device => Some(Ok(())),
        _ => None,
    });
    // The approval itself is done, whatever happens to the connection now.
    if is_confirmed || matches!(tokio::time::timeout(CONFIRMATION_WAIT, confirmation).await, Ok(Ok(()))) {
        say!("Confirmed: its first message opened. Next: av chat {}", Escaped(&request.name))?;
    } else {
        say!("It has not answered yet, and takes up its approval when it is online.")?;
    }
    Ok(())
}

/// Until a request may have come in.
async fn wait_for_request(owner: &mut Owner) -> Result<(), Failure> {
    let hint = async {
        loop {
            match owner.device().next().await {
                Some(Notice::Event(Event::EnrollmentWaiting | Event::Authenticated)) => return Ok(()),
                Some(Notice::Event(event)) => refusal(&event)?,
                // It connects again by itself, and whoever waits is not sent away for that.
                Some(Notice::Disconnected(error)) => tracing::warn!("{error}"),
                Some(Notice::Message(_)) => {}
                None => return Err(Failure::failed("the device stopped")),
            }
        }
    };
    tokio::time::timeout(LIST_PERIOD, hint).await.unwrap_or(Ok(()))
}

fn show(request: &RequestView) -> Result<(), Failure> {
    let verdict = match request.verdict {
        RequestVerdict::TagVerified => "invite tag verified".to_owned(),
        RequestVerdict::Attack => {
            "ATTACK: whoever sent this does not have the invite that it names, or asks for another role. It cannot be \
             approved, and the invite is void."
                .to_owned()
        }
        RequestVerdict::TokenLeaked { approved: false } => {
            "TOKEN LEAKED: two devices hold the same invite. Neither can be approved; make a new invite and pass it \
             on by a safer way."
                .to_owned()
        }
        RequestVerdict::TokenLeaked { approved: true } => {
            "TOKEN LEAKED: two devices hold the same invite, and one was approved already. Check that one's \
             fingerprint; if in doubt: av revoke"
                .to_owned()
        }
        RequestVerdict::InvitedElsewhere(device) => format!("pending, invited by {device}: approve there"),
        RequestVerdict::NotOpen => "the invite is expired or used; it cannot be approved".to_owned(),
    };
    let role = if request.role == Role::Owner { "OWNER: could invite, approve and revoke" } else { "agent" };
    say!("Request")?;
    if !request.name.is_empty() {
        say!("  name         {}", Escaped(&request.name))?;
        say!("  platform     {}", Escaped(&request.platform))?;
    }
    say!("  fingerprint  {}", request.fingerprint.groups())?;
    say!("  id           {}", request.device_id)?;
    say!("  role         {role}")?;
    say!("  invite       {verdict}")?;
    Ok(())
}

fn alarm_failure(request: &RequestView) -> Failure {
    let what =
        if request.verdict == RequestVerdict::Attack { "ATTACK on an enrollment" } else { "TOKEN LEAKED" };
    Failure::refused(format!("{what}: nothing was approved; turn the requests down with av reject ID"))
}

fn title(request: &RequestView) -> String {
    let role = if request.role == Role::Owner { " as OWNER" } else { "" };
    format!("{}{role}", Escaped(&request.name))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn fingerprint(text: &str) -> Result<String, String> {
    let digits = digits(text);
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace());
    if is_plain && digits.len() == FINGERPRINT_DIGITS {
        Ok(digits)
    } else {
        Err("a fingerprint is 8 groups of 5 digits: give all of it".to_owned())
    }
}
