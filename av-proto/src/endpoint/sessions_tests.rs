use av_wire::{DeviceId, Role};

use super::Sessions;
use crate::Now;
use crate::crypto::agreements_on_this_thread;
use crate::keys::{Identity, Prekeys};
use crate::limits::{LOSER_LIFETIME, MAX_HEADER_TRIALS, PAST_CHAINS, PREVIOUS_PAST_CHAINS};
use crate::ratchet::{HeaderBlob, PendingKem, RatchetError, Session};
use crate::test_support::{Counting, TAGS, TENANT, WITHOUT_KEM, bundle, identity, rng};
use crate::x3dh::{Parameters, initiate, respond};

type Small = Sessions<Counting, 16>;

const fn at(uptime: u64) -> Now {
    Now { uptime, wall: 0 }
}

/// Two devices that begin sessions with each other.
struct Pair {
    own: Identity,
    peer: Identity,
    seed: u64,
}

impl Pair {
    fn new() -> Self {
        let device = |seed, role| identity::<Counting>(seed, role);
        Self { own: device(1, Role::Owner), peer: device(2, Role::Agent), seed: 10 }
    }

    /// A session of this generation: ours, and the peer's end of it.
    fn session(&mut self, generation: u32, we_begin: bool) -> (Session<Counting, 16>, Session<Counting, 16>) {
        self.seed += 10;
        let (a, b) = if we_begin { (&self.own, &self.peer) } else { (&self.peer, &self.own) };
        let prekeys = Prekeys::<1>::generate(&mut rng(self.seed), WITHOUT_KEM, 0);
        let parameters =
            |identity, peer| Parameters { tenant: &TENANT, identity, peer, generation, psk: None };
        let mut begun: Session<_, 16> =
            initiate(&parameters(a, b.public()), &bundle(&prekeys, b), &mut rng(self.seed + 1))
                .expect("initiates");
        let first = sealed(&mut begun, b"first");
        let prelude = HeaderBlob::parse(&first.0).expect("parses").prelude.expect("has one");
        let signed = prekeys.signed_secret(prelude.signed_prekey).expect("kept");
        let one_time = prelude.one_time_prekey.and_then(|id| prekeys.one_time_secret(id));
        let mut answered =
            respond(&parameters(b, a.public()), &prelude, signed, one_time, None).expect("responds");
        open(&mut answered, &first).expect("opens");
        if we_begin { (begun, answered) } else { (answered, begun) }
    }

    fn install(&self, sessions: &mut Small, session: Session<Counting, 16>, now: Now) {
        sessions.install(session, self.own.device_id(), self.peer.device_id(), now);
    }
}

fn sealed(session: &mut Session<Counting, 16>, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut out = [0; 1_024];
    let sealed = session.encrypt(&mut rng(7), &[1; 16], 1, body, 32, &mut out).expect("encrypts");
    (out[..sealed.header_len].to_vec(), out[sealed.header_len..sealed.len].to_vec())
}

fn open(session: &mut Session<Counting, 16>, message: &(Vec<u8>, Vec<u8>)) -> Result<(), RatchetError> {
    session.decrypt(&message.0, &message.1, &mut [0; 1_024]).map(|_| ())
}

fn receive(sessions: &mut Small, message: &(Vec<u8>, Vec<u8>), now: Now) -> Result<(), RatchetError> {
    sessions.decrypt(now, &message.0, &message.1, &mut [0; 1_024]).map(|_| ())
}

fn generations(sessions: &Small) -> (Option<u32>, Option<u32>) {
    (sessions.winner().map(Session::generation), sessions.loser.as_ref().map(|loser| loser.generation()))
}

#[test]
fn both_sessions_with_a_peer_take_at_most_1950_bytes() {
    const KEM: usize = size_of::<Option<PendingKem>>();
    let (size, record) = (size_of::<Small>(), Small::MAX_LEN);
    std::println!("sessions of a peer: {size} bytes, record: {record}, {KEM} of them for a KEM's ciphertext");
    assert!(size <= 1_950 + KEM, "{size} bytes");
    const { assert!(Small::MAX_LEN <= 1_950 + KEM) }
}

#[test]
fn the_greater_generation_wins_and_of_three_the_least_goes() {
    let mut pair = Pair::new();
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let mut sessions = Small::new();
        for generation in order {
            let (ours, _) = pair.session(generation, generation == 2);
            pair.install(&mut sessions, ours, at(0));
        }
        assert_eq!(generations(&sessions), (Some(3), Some(2)), "{order:?}");
    }
}

/// Both sides must take the same one for the winner, whoever holds which first.
#[test]
fn on_a_tie_the_smaller_initiator_wins_on_both_sides() {
    let mut pair = Pair::new();
    let (own, peer): (DeviceId, DeviceId) = (*pair.own.device_id(), *pair.peer.device_id());
    let we_win = own < peer;
    for we_begin_first in [true, false] {
        let (mut ours, mut theirs) = (Small::new(), Small::new());
        for we_begin in [we_begin_first, !we_begin_first] {
            let (at_ours, at_theirs) = pair.session(1, we_begin);
            ours.install(at_ours, &own, &peer, at(0));
            theirs.install(at_theirs, &peer, &own, at(0));
        }
        assert_eq!(ours.winner().map(Session::is_initiator), Some(we_win));
        assert_eq!(theirs.winner().map(Session::is_initiator), Some(!we_win));
    }
}

#[test]
fn the_loser_is_wiped_a_day_after_the_winner_has_received() {
    let mut pair = Pair::new();
    let mut sessions = Small::new();
    let (first, mut peers_first) = pair.session(1, false);
    pair.install(&mut sessions, first, at(0));
    // Ours wins, and nobody knows yet whether the peer ever gets it.
    let (second, mut peers_second) = pair.session(2, true);
    pair.install(&mut sessions, second, at(1));
    assert!(!sessions.tick(at(10 * LOSER_LIFETIME)));
    let late = sealed(&mut peers_first, b"late");
    assert_eq!(receive(&mut sessions, &late, at(10 * LOSER_LIFETIME)), Ok(()));

    let answer = sealed(&mut peers_second, b"answer");
    let now = 20 * LOSER_LIFETIME;
    assert_eq!(receive(&mut sessions, &answer, at(now)), Ok(()));
    let later = sealed(&mut peers_first, b"later");
    assert!(!sessions.tick(at(now + LOSER_LIFETIME - 1)));
    assert_eq!(receive(&mut sessions, &later, at(now + LOSER_LIFETIME - 1)), Ok(()));
    assert!(sessions.tick(at(now + LOSER_LIFETIME)));
    assert_eq!(generations(&sessions), (Some(2), None));
    let too_late = sealed(&mut peers_first, b"too late");
    assert_eq!(receive(&mut sessions, &too_late, at(now + LOSER_LIFETIME)), Err(RatchetError::Unopened));
}

/// Ten tags and no agreement: the header keys of the winner, current, next and of four past chains, and of the loser
/// two less.
#[test]
fn a_forged_message_costs_a_peer_with_two_sessions_at_most_twelve_tags_and_no_agreement() {
    let mut pair = Pair::new();
    let mut sessions = Small::new();
    let mut forged = Vec::new();
    for generation in [1, 2] {
        let (ours, mut theirs) = pair.session(generation, false);
        pair.install(&mut sessions, ours, at(0));
        for _ in 0..2 * PAST_CHAINS {
            let ping = sealed(&mut theirs, b"ping");
            assert_eq!(receive(&mut sessions, &ping, at(0)), Ok(()));
            let pong = sealed(sessions.winner_mut().expect("installed"), b"pong");
            open(&mut theirs, &pong).expect("opens");
        }
        forged.push(sealed(&mut theirs, b"genuine"));
    }
    for (mut header_blob, ciphertext) in forged {
        *header_blob.last_mut().expect("a tag") ^= 1;
        let (tags, agreements) = (TAGS.get(), agreements_on_this_thread());
        let error = receive(&mut sessions, &(header_blob, ciphertext), at(0));
        assert_eq!(error, Err(RatchetError::Unopened));
        assert_eq!(TAGS.get() - tags, MAX_HEADER_TRIALS + 2 + PREVIOUS_PAST_CHAINS);
        assert_eq!(agreements_on_this_thread(), agreements);
    }
    const { assert!(MAX_HEADER_TRIALS + 2 + PREVIOUS_PAST_CHAINS <= 12) }
}
