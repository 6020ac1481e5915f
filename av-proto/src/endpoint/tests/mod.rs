//! Two endpoints and the post office: the main job, crashes at every output, and hostile frames.

mod authority;
mod corruption;
mod crash;
mod crowd;
mod device;
mod enrollment;
mod golden;
mod hostile;
mod insider;
mod introduction;
mod keys;
mod link;
mod link_keys;
mod main_job;
mod prekeys;
mod receipts;
mod records;
mod resync;
mod rolled_back;
mod secrets;
mod sessions;
mod sizes;
mod suites;
mod tenant;
mod working_set;

use av_wire::frame::{ToDevice, ToRelay};
use av_wire::message::message_id;
use av_wire::{DeviceId, Fingerprint, Origin, Role};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use device::{Device, SMALL, Step, Store, opened_records, store};

use super::{Channel, ConnectionError, EnrollOptions, Event, Output, Phase, RequestVerdict};
use crate::link::LinkSecret;
use crate::testing::{NoisePipe, PostOffice, Side};
use crate::{InviteText, Now, RecordKey};

const MINUTE: u32 = 60;

const NOW: Now = Now { uptime: 1_000, wall: 1_800_000_000 };

/// An owner, an agent and the post office between them.
struct World {
    office: PostOffice,
    owner: Device,
    agent: Device,
    /// The relay's link key: every connection is a Noise link.
    link: Option<LinkSecret>,
}

impl World {
    /// A founded tenant; the agent does not exist yet.
    fn founded() -> Self {
        Self::founded_with(1, 2)
    }

    fn founded_with(owner_seed: u8, agent_seed: u8) -> Self {
        Self::founded_over(owner_seed, agent_seed, None)
    }

    fn founded_over(owner_seed: u8, agent_seed: u8, link: Option<LinkSecret>) -> Self {
        let mut world = Self {
            link,
            office: PostOffice::new(),
            owner: Device::new(Side::Owner, owner_seed),
            agent: Device::new(Side::Agent, agent_seed),
        };
        let (owner, origin) = (&mut world.owner, origin());
        let link_key = world.link.as_ref().map(|secret| *secret.public());
        owner.endpoint.found(NOW, &mut owner.rng, &origin, link_key, "laptop").expect("an empty endpoint");
        world.connect(Side::Owner);
        world.settle();
        assert_eq!(world.owner.endpoint.phase(), Phase::Active);
        world
    }

    /// A tenant with an active agent, and both sessions confirmed.
    fn talking() -> Self {
        Self::talking_with(1, 2)
    }

    fn talking_with(owner_seed: u8, agent_seed: u8) -> Self {
        Self::founded_with(owner_seed, agent_seed).talk()
    }

    fn talk(mut self) -> Self {
        let world = &mut self;
        let invite = world.invite(Role::Agent);
        world.enroll(&invite, Role::Agent);
        let device = world.request().expect("a verified request");
        world.approve(&device);
        assert_eq!(world.agent.endpoint.phase(), Phase::Active);
        self
    }

    fn invite(&mut self, role: Role) -> InviteText {
        let owner = &mut self.owner;
        let text = owner.endpoint.create_invite(NOW, &mut owner.rng, role, 10 * MINUTE).expect("room");
        self.settle();
        text
    }

    fn enroll(&mut self, invite: &InviteText, role: Role) {
        let inviter = self.owner.endpoint.device_id();
        let agent = &mut self.agent;
        let origin = origin();
        let options = EnrollOptions {
            origin: &origin,
            link_key: self.link.as_ref().map(|secret| *secret.public()),
            inviter,
            role,
            name: "thermostat",
            platform: "test",
        };
        agent.endpoint.enroll(NOW, &mut agent.rng, invite, &options).expect("an empty endpoint");
        self.connect(Side::Agent);
        self.settle();
    }

    /// The owner lists requests; the one that verified.
    fn request(&mut self) -> Option<DeviceId> {
        self.verdict()
            .filter(|(_, verdict)| *verdict == RequestVerdict::TagVerified)
            .map(|(device, _)| device)
    }

    fn verdict(&mut self) -> Option<(DeviceId, RequestVerdict)> {
        self.owner.endpoint.list_pending().expect("an owner");
        self.settle();
        self.owner.events.iter().rev().find_map(|event| match event {
            Event::EnrollmentRequest(view) => Some((view.device_id, view.verdict)),
            _ => None,
        })
    }

    fn approve(&mut self, device: &DeviceId) {
        let owner = &mut self.owner;
        owner.endpoint.approve(NOW, &mut owner.rng, device).expect("a request that was shown");
        self.settle();
    }

    fn device(&mut self, side: Side) -> &mut Device {
        match side {
            Side::Owner => &mut self.owner,
            Side::Agent => &mut self.agent,
        }
    }

    fn connect(&mut self, side: Side) {
        let Some(secret) = &self.link else {
            self.office.connect(side, [9; 32]).expect("room");
            self.device(side).endpoint.connected(Channel::Plain).expect("loopback");
            return;
        };
        let device = match side {
            Side::Owner => &mut self.owner,
            Side::Agent => &mut self.agent,
        };
        let link_key = *device.endpoint.link_keys().next().expect("a link key");
        let pipe = NoisePipe::open(&mut device.rng, &origin(), &link_key, secret).expect("the relay's key");
        self.office.connect(side, [0; 32]).expect("room");
        device.endpoint.connected(Channel::Noise(pipe.device())).expect("the relay's key");
        device.pipe = Some(pipe);
    }

    fn disconnect(&mut self, side: Side) {
        self.office.disconnect(side);
        self.device(side).endpoint.disconnected();
    }

    /// Runs until neither device nor the post office has anything to do.
    fn settle(&mut self) {
        loop {
            self.owner.drain(&mut self.office);
            self.agent.drain(&mut self.office);
            if !self.pass(Side::Owner) && !self.pass(Side::Agent) {
                return;
            }
        }
    }

    /// Passes one frame to a device; whether there was one.
    fn pass(&mut self, side: Side) -> bool {
        let Some(mut frame) = self.office.fetch(side) else {
            return false;
        };
        if let Some(pipe) = &mut self.device(side).pipe {
            frame = pipe.to_device(&frame).expect("an open link");
        }
        let result = self.receive(side, &frame);
        assert_eq!(result, Ok(()), "{side:?}: an honest post office breaks no rule: {frame:02x?}");
        true
    }

    /// Time goes by for both, in steps of at most ten seconds.
    fn wait(&mut self, milliseconds: u64) {
        self.settle();
        let until = self.owner.now.uptime + milliseconds;
        while self.owner.now.uptime < until {
            let now = self.owner.now.uptime;
            let step = (until - now).min(10_000);
            for device in [&mut self.owner, &mut self.agent] {
                device.now.uptime += step;
                device.endpoint.tick(device.now, &mut device.rng);
            }
            self.settle();
        }
    }

    /// A device says something that the relay accepts and loses.
    fn lose(&mut self, side: Side, text: &str) {
        let tenant = self.owner.endpoint.tenant_id().expect("a tenant");
        let to = if side == Side::Owner { self.agent.id() } else { self.owner.id() };
        let device = self.device(side);
        device.loses = true;
        device.send(&to, text);
        device.drain_lost();
        device.loses = false;
        let Some(Ok(ToRelay::Send { recipient, header_blob, ciphertext })) =
            device.sent.last().map(|frame| av_wire::decode(frame))
        else {
            panic!("a message")
        };
        let message_id = message_id(&tenant, &device.id(), &recipient, header_blob, ciphertext);
        let mut buffer = [0; 64];
        let accepted = av_wire::encode(&ToDevice::Accepted { message_id }, &mut buffer).expect("room");
        self.receive(side, accepted).expect("an allowed frame");
        self.settle();
    }

    fn receive(&mut self, side: Side, frame: &[u8]) -> Result<(), ConnectionError> {
        let device = self.device(side);
        corruption::shoot(&mut device.endpoint, device.now, frame);
        device.endpoint.receive(device.now, &mut device.rng, frame)
    }
}

fn origin() -> Origin {
    Origin::parse("ws://127.0.0.1:7460").expect("an origin")
}

fn fingerprint(device: &Device) -> Fingerprint {
    device.endpoint.fingerprint().expect("a device")
}
