//! Attacks on an enrollment: each is seen, shown and refused, by the owner or by the agent.

use av_proto::invite::InviteKeys;
use av_proto::{EndReason, Event, InviteText, InviteUrl, Phase};
use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::client::{Client, Unsent};
use av_tests::connection::{Connection, decode};
use av_tests::device::{Device, Request, random};
use av_tests::folder::Folder;
use av_tests::founder::Founder;
use av_tests::owner::{Invite, Owner};
use av_tests::process::Finished;
use av_tests::shared::SharedRelay;
use av_wire::chain::Chain;
use av_wire::enroll::EnrollTranscript;
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::{DevicePublic, InboxEpoch, List, LookupHash, Origin, RefusalCode, Role};
use getrandom::SysRng;
use rand_core::UnwrapErr;

/// `av`'s exit status for whatever an owner or the relay refuses.
const REFUSED: i32 = 3;

/// An owner with an invite, and the keys that whoever holds it derives.
struct Invited {
    relay: SharedRelay,
    folder: Folder,
    owner: Owner,
    invite: Invite,
    keys: InviteKeys,
}

impl Invited {
    fn new() -> Outcome<Self> {
        let relay = SharedRelay::get()?;
        let folder = Folder::new()?;
        let owner = Owner::found(&folder, "owner", relay.origin())?;
        let invite = owner.invite(&[])?;
        let keys = InviteKeys::derive(&InviteText::parse(&invite.text)?);
        Ok(Self { relay, folder, owner, invite, keys })
    }

    /// Sends a request; whether the relay passed it on.
    fn send(&self, request: &Request) -> Outcome<bool> {
        let answer = Connection::open(self.relay.origin())?.call(&request.frame())?;
        match decode(&answer)? {
            ToDevice::Pending { .. } => Ok(true),
            ToDevice::Error { code: RefusalCode::InviteRefused, .. } => Ok(false),
            other => Err(format!("{other:?}").into()),
        }
    }

    /// What `av approve` makes of the request of this very device.
    fn approve(&self, device: &Device) -> Outcome<Finished> {
        let fingerprint = device.public().fingerprint().groups().to_string();
        self.owner.run(&["approve", "--fingerprint", &fingerprint])
    }

    /// The owner knows nobody: nothing was approved.
    fn nobody_is_in(&self) -> Outcome {
        let peers = self.owner.run(&["peers"])?.success()?;
        assert!(peers.stdout.starts_with("No peers"), "{peers:#?}");
        Ok(())
    }
}

#[test]
fn a_request_whose_tag_does_not_verify_is_an_attack_and_burns_the_invite() -> Outcome {
    let invited = Invited::new()?;
    let attacker = Device::new(Role::Agent)?;
    // A relay that saw the genuine request has its lookup and its sealed name, and no token to make a tag with.
    let mut request = attacker.request_with(&invited.keys, "genuine")?;
    request.tag = random()?;
    assert!(invited.send(&request)?);
    let shown = invited.approve(&attacker)?.with_status(REFUSED)?;
    assert!(shown.output().contains("ATTACK"), "{shown:#?}");
    invited.nobody_is_in()?;

    // Burnt: whoever really holds the token comes too late, even if the relay passed it on.
    let genuine = Device::new(Role::Agent)?;
    assert!(!invited.send(&genuine.request_with(&invited.keys, "genuine")?)?);
    let again = invited.approve(&genuine)?;
    assert_ne!(again.status, 0, "{again:#?}");
    invited.nobody_is_in()
}

#[test]
fn a_request_for_another_role_than_the_invites_is_an_attack() -> Outcome {
    let invited = Invited::new()?;
    let climber = Device::new(Role::Owner)?;
    // The relay passes it on: that the invite is for another role is the owner's to notice.
    assert!(invited.send(&climber.request_with(&invited.keys, "climber")?)?);
    let shown = invited.approve(&climber)?.with_status(REFUSED)?;
    assert!(shown.output().contains("ATTACK"), "{shown:#?}");
    invited.nobody_is_in()
}

#[test]
fn a_second_request_with_other_keys_shows_that_the_token_leaked_and_neither_is_approved() -> Outcome {
    let invited = Invited::new()?;
    let (first, second) = (Device::new(Role::Agent)?, Device::new(Role::Agent)?);
    assert!(invited.send(&first.request_with(&invited.keys, "first")?)?);
    assert!(!invited.send(&second.request_with(&invited.keys, "second")?)?, "the second is told nothing");
    for device in [&first, &second] {
        let shown = invited.approve(device)?.with_status(REFUSED)?;
        assert!(shown.output().contains("TOKEN LEAKED"), "{shown:#?}");
    }
    invited.nobody_is_in()
}

#[test]
fn a_token_that_turns_out_leaked_after_the_approval_is_shown_and_nobody_is_revoked_unasked() -> Outcome {
    let invited = Invited::new()?;
    let mut agent = Agent::new(&invited.folder, "agent", &invited.invite.url)?;
    let fingerprint = agent.enroll()?;
    invited.owner.approve(&fingerprint)?;
    agent.process()?.expect_line("connected")?;

    let thief = Device::new(Role::Agent)?;
    assert!(!invited.send(&thief.request_with(&invited.keys, "thief")?)?);
    let shown = invited.approve(&thief)?.with_status(REFUSED)?;
    assert!(shown.output().contains("TOKEN LEAKED"), "{shown:#?}");
    assert!(shown.output().contains("revoke"), "its revocation is offered: {shown:#?}");
    let answer = invited.owner.chat("agent", &["still there?"], 1)?;
    answer.line("STILL THERE?").map(drop)
}

#[test]
fn a_request_that_was_changed_on_its_way_is_refused_by_the_relay() -> Outcome {
    let invited = Invited::new()?;
    let device = Device::new(Role::Agent)?;
    let genuine = device.request_with(&invited.keys, "agent")?;
    let other = Device::new(Role::Agent)?;
    let mut changed = vec![genuine.clone(); 4];
    changed[0].device = other.public().to_bytes();
    changed[1].bundle = other.request(invited.keys.lookup())?.bundle;
    changed[2].sealed_name[40] ^= 1;
    changed[3].pop = other.request(invited.keys.lookup())?.pop;
    for request in &changed {
        assert!(!invited.send(request)?);
    }
    assert!(invited.send(&genuine)?, "none of them used the invite up");
    Ok(())
}

/// A hand-made owner, its invite, and an agent whose request it has: it can say anything, rightly tagged.
struct Approval {
    /// Held for as long as the test runs: it ends with the last who holds it.
    _relay: SharedRelay,
    founder: Founder,
    keys: InviteKeys,
    agent: Client,
    device: DevicePublic,
    transcript: EnrollTranscript,
    origin: Origin,
}

/// What stands in a grant.
#[derive(Clone)]
struct Contents {
    chain: Vec<u8>,
    origin: String,
    link_key: [u8; 32],
    next_link_key: [u8; 32],
    serials: Vec<OwnerSerial>,
}

impl Approval {
    fn new() -> Outcome<Self> {
        let relay = SharedRelay::get()?;
        let founder = Founder::found(relay.origin())?;
        let text = InviteText::generate(&mut UnwrapErr(SysRng));
        let keys = InviteKeys::derive(&text);
        let mut connection = founder.connect(relay.origin())?;
        connection.must(&ToRelay::CreateInvite {
            request: 1,
            lookup_hash: LookupHash::of(keys.lookup()),
            role: Role::Agent,
            expires_in: 600,
        })?;
        let origin = Origin::parse(relay.origin())?;
        let owner = Some(founder.device.id());
        let url = InviteUrl { token: text, origin: origin.clone(), link_key: None, owner }.to_string();
        let mut agent = Client::enroll(&url, "agent")?;
        let device = *agent.endpoint().public().ok_or("an enrolling device has an identity")?;
        connection.send(&ToRelay::ListPending { request: 2 })?;
        let frame = connection.frame()?;
        let ToDevice::PendingDevice { enroll, .. } = decode(&frame)? else { return Err("no request".into()) };
        let transcript = enroll.transcript()?;
        agent.disconnect();
        Ok(Self { _relay: relay, founder, keys, agent, device, transcript, origin })
    }

    fn genuine(&self) -> Outcome<Contents> {
        Ok(Contents {
            chain: self.founder.certify(&self.device)?,
            origin: self.origin.to_string(),
            link_key: [0; 32],
            next_link_key: [0; 32],
            serials: vec![OwnerSerial { owner: self.founder.device.id(), serial: 0 }],
        })
    }

    /// The tag that the invite's owner would put on these contents.
    fn tag(&self, contents: &Contents) -> Outcome<[u8; 32]> {
        let hash = Chain::new(&contents.chain).hash();
        Ok(self.keys.grant_tag(
            &self.transcript,
            &hash,
            &contents.origin,
            &contents.link_key,
            &contents.next_link_key,
            &contents.serials,
        )?)
    }

    /// Hands the agent a grant with this tag; whether it took it.
    fn is_taken(&self, contents: &Contents, tag: [u8; 32]) -> Outcome<bool> {
        let mut agent = self.agent.restarted()?;
        let before = agent.opened_records()?;
        agent.connect_to_enroll()?;
        let mut buffer = vec![0; av_wire::limits::MAX_FRAME];
        let grant = Grant {
            chain: contents.chain.as_slice(),
            origin: &contents.origin,
            link_key: contents.link_key,
            next_link_key: contents.next_link_key,
            serials: List::new(&contents.serials),
            tag,
        };
        let grant = av_wire::encode(&grant, &mut buffer)?.to_vec();
        agent.feed_frame(&ToDevice::Granted { grant: grant.as_slice() })?;
        let events = agent.take_events();
        if events.iter().any(|event| matches!(event, Event::EnrollmentGranted { .. })) {
            assert_eq!(agent.endpoint().phase(), Phase::Granted);
            return Ok(true);
        }
        assert!(events.contains(&Event::EnrollmentEnded(EndReason::GrantInvalid)), "{events:?}");
        assert_ne!(agent.endpoint().phase(), Phase::Granted);
        assert!(agent.endpoint().tenant_id().is_none(), "no tenant was pinned");
        let is_activation =
            |unsent: &Unsent| matches!(av_wire::decode(&unsent.frame), Ok(ToRelay::Activate { .. }));
        assert!(!agent.unsent.iter().any(is_activation), "nothing was taken up");
        assert!(agent.opened_records()? == before, "a record changed");
        Ok(false)
    }
}

#[test]
fn a_grant_for_other_keys_or_with_another_chain_origin_or_link_key_is_refused_by_the_agent() -> Outcome {
    let approval = Approval::new()?;
    let genuine = approval.genuine()?;
    let stranger = Device::new(Role::Agent)?;
    let elsewhere = Founder::found(approval.origin.as_str())?;
    // Certified by an owner of the same tenant who is not the one that the invite names.
    let second = Device::new(Role::Owner)?;
    let by_second = approval.founder.certify_by(&second, &approval.device)?;
    let variants = [
        (
            "for other keys",
            Contents { chain: approval.founder.certify(stranger.public())?, ..genuine.clone() },
        ),
        ("of another tenant", Contents { chain: elsewhere.certify(&approval.device)?, ..genuine.clone() }),
        ("by another owner", Contents { chain: by_second, ..genuine.clone() }),
        ("the owner's own chain", Contents { chain: approval.founder.chain.clone(), ..genuine.clone() }),
        ("no chain at all", Contents { chain: vec![0x80], ..genuine.clone() }),
        ("of another origin", Contents { origin: "ws://127.0.0.1:1".to_owned(), ..genuine.clone() }),
    ];
    for (what, contents) in &variants {
        // Rightly tagged by whoever has the token: it is refused for what it says.
        assert!(!approval.is_taken(contents, approval.tag(contents)?)?, "{what}, its own tag");
        // By a relay that passes other contents off under the genuine tag.
        assert!(!approval.is_taken(contents, approval.tag(&genuine)?)?, "{what}, the genuine tag");
    }
    let mut serials = genuine.clone();
    serials.serials[0].serial += 1;
    // This agent knows no link key, so it would take the one that the owner names.
    let link_key = Contents { link_key: random()?, ..genuine.clone() };
    let next = Contents { next_link_key: random()?, ..genuine.clone() };
    let others =
        [("other serials", &serials), ("another link key", &link_key), ("another next link key", &next)];
    for (what, contents) in others {
        assert!(!approval.is_taken(contents, approval.tag(&genuine)?)?, "{what}");
    }
    assert!(!approval.is_taken(&genuine, random()?)?, "the genuine contents under a random tag");
    assert!(approval.is_taken(&genuine, approval.tag(&genuine)?)?, "the genuine grant is still taken");
    Ok(())
}

#[test]
fn a_grant_for_another_enrollment_of_the_same_invite_is_refused() -> Outcome {
    let one = Approval::new()?;
    let other = Approval::new()?;
    let contents = one.genuine()?;
    assert!(!one.is_taken(&contents, other.tag(&contents)?)?, "tagged under another invite's key");
    let epoch = InboxEpoch([0; 16]);
    assert!(one.agent.restarted()?.connect_by_hand(epoch, 1).is_err(), "a welcome is no approval");
    Ok(())
}
