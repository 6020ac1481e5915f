//! Found, invite, enroll, approve, activate, first message.

use av_proto::testing::Side;
use av_proto::wire::{Origin, Role};
use av_proto::{EnrollOptions, Event, InviteText, Phase, RequestVerdict, Standing};
use heapless::String;

use crate::fault::Faults;
use crate::gauge::Call;
use crate::world::{BOTH, World};
use crate::{Failure, require};

/// Seconds for which the invite is valid.
const LIFETIME: u32 = 600;
/// Bytes of an invite's text: `av1` and 9 groups of 4 symbols, each behind a dash.
const INVITE_TEXT: usize = 3 + 9 * 5;

fn origin() -> Result<Origin, Failure> {
    Origin::parse("ws://127.0.0.1:7460").map_err(|_| Failure("the origin is no origin"))
}

/// The owner's device makes the root and its tenant.
///
/// # Errors
/// [`Failure`].
pub fn found(world: &mut World) -> Result<(), Failure> {
    let (now, origin) = (world.now, origin()?);
    let owner = &mut world.owner;
    // The recovery key, which an owner writes down, is wiped here.
    let _ = world
        .gauge
        .measure(Call::Found, || owner.endpoint.found(now, &mut owner.rng, &origin, None, "laptop"))
        .map_err(|_| Failure("found"))?;
    world.connect(Side::Owner)?;
    world.run(&BOTH, &mut Faults::none())?;
    require(world.owner.has(&Event::Founded), "no word of the founding")?;
    require(world.owner.endpoint.phase() == Phase::Active, "the founder is not active")
}

/// The owner invites, the agent enrolls with the invite's text, and the owner verifies the request's tag.
///
/// # Errors
/// [`Failure`].
pub fn enroll(world: &mut World) -> Result<(), Failure> {
    let now = world.now;
    let owner = &mut world.owner;
    let invite = world
        .gauge
        .measure(Call::Invite, || owner.endpoint.create_invite(now, &mut owner.rng, Role::Agent, LIFETIME))
        .map_err(|_| Failure("create_invite"))?;
    world.run(&BOTH, &mut Faults::none())?;
    require(
        world.owner.events.iter().any(|event| matches!(event, Event::InviteReady(_))),
        "the invite is not registered",
    )?;

    // As a person would carry it: by its text.
    let mut text: String<INVITE_TEXT> = String::new();
    core::fmt::write(&mut text, format_args!("{invite}"))
        .map_err(|_| Failure("an invite's text is longer"))?;
    let invite = InviteText::parse(&text).map_err(|_| Failure("an invite's text is not read back"))?;

    let origin = origin()?;
    let options = EnrollOptions {
        origin: &origin,
        link_key: None,
        inviter: world.owner.endpoint.device_id(),
        role: Role::Agent,
        name: "thermostat",
        platform: "cortex-m4",
    };
    let agent = &mut world.agent;
    world
        .gauge
        .measure(Call::Enroll, || agent.endpoint.enroll(now, &mut agent.rng, &invite, &options))
        .map_err(|_| Failure("enroll"))?;
    world.connect(Side::Agent)?;
    world.run(&BOTH, &mut Faults::none())?;
    require(world.agent.has(&Event::EnrollmentPending), "the request does not wait")?;

    world.owner.endpoint.list_pending().map_err(|_| Failure("list_pending"))?;
    world.run(&BOTH, &mut Faults::none())?;
    let fingerprint = world.agent.endpoint.fingerprint();
    let is_its_request = |event: &Event| match event {
        Event::EnrollmentRequest(view) => {
            view.verdict == RequestVerdict::TagVerified
                && Some(view.fingerprint) == fingerprint
                && (view.name.as_str(), view.platform.as_str()) == ("thermostat", "cortex-m4")
        }
        _ => false,
    };
    require(world.owner.events.iter().any(is_its_request), "the owner sees no verified request")
}

/// The owner approves while the agent is away; the agent restarts, activates while the owner is away, and opens the
/// first message.
///
/// # Errors
/// [`Failure`].
pub fn approve(world: &mut World) -> Result<(), Failure> {
    world.disconnect(Side::Agent);
    let (now, agent_id) = (world.now, world.agent.id()?);
    let owner = &mut world.owner;
    world
        .gauge
        .measure(Call::Approve, || owner.endpoint.approve(now, &mut owner.rng, &agent_id))
        .map_err(|_| Failure("approve"))?;
    world.run(&[Side::Owner], &mut Faults::none())?;
    require(world.owner.has(&Event::Approved(agent_id)), "the relay did not take the approval")?;
    world.disconnect(Side::Owner);

    world.restart(Side::Agent)?;
    world.connect(Side::Agent)?;
    world.run(&[Side::Agent], &mut Faults::none())?;
    let owner = world.owner.endpoint.fingerprint().ok_or(Failure("the owner has no identity"))?;
    require(world.agent.has(&Event::EnrollmentGranted { owner }), "the grant does not verify")?;
    require(world.agent.has(&Event::EnrollmentActive), "the activation is not confirmed")?;
    require(world.agent.endpoint.tenant_id() == world.owner.endpoint.tenant_id(), "two tenants")?;
    let peer = world.agent.endpoint.peers().next().ok_or(Failure("the agent knows no owner"))?;
    require(peer.fingerprint == owner && peer.confirmed, "the first message does not open")
}

/// The owner restarts, sees the activation and the answer to the first message: both hold one session.
///
/// # Errors
/// [`Failure`].
pub fn confirm(world: &mut World) -> Result<(), Failure> {
    let agent_id = world.agent.id()?;
    world.restart(Side::Owner)?;
    world.connect(Side::Owner)?;
    world.run(&BOTH, &mut Faults::none())?;
    require(world.owner.has(&Event::PeerActive(agent_id)), "the activation does not verify")?;
    require(world.owner.has(&Event::PeerConfirmed(agent_id)), "the first message is not answered")?;
    let peer = world.owner.endpoint.peers().next().ok_or(Failure("the owner knows no agent"))?;
    require(peer.standing == Standing::Active && peer.confirmed, "the agent is not active")
}
