//! Every capacity of the protocol core: name, unit, reason, and what happens when it is reached.

use av_wire::DeviceId;
use av_wire::bundle::Bundle;
use av_wire::chain::MAX_CERTS_BYTES;

use crate::crypto::{KEM_CIPHERTEXT, TAG};

/// Messages in one chain: from 2^31 on nothing more is sent, and a new session is started
/// (`PROTOCOL.md` section 7).
pub const MAX_CHAIN_MESSAGES: u32 = 1 << 31;

/// Receiving chains that are over and whose header keys are kept, for messages that the relay delivers late. The
/// oldest is given up for a fifth, together with its skipped keys.
pub const PAST_CHAINS: usize = 4;

/// Past chains of a session that only receives. Nobody answers its messages, so its peer ends at most one more.
pub const PREVIOUS_PAST_CHAINS: usize = 2;

/// Skipped message keys of a session that only receives, and the messages that may be missing in a row there: with
/// these a peer's two sessions fit into 1,950 bytes. What is missed beyond them is asked for again.
pub const PREVIOUS_SKIP: usize = 8;

/// AEAD tags that a message can cost a session whose header it does not open: current and next header key, and
/// those of the past chains.
pub const MAX_HEADER_TRIALS: usize = 2 + PAST_CHAINS;

/// Skipped message keys that a session may be built for: the count is stored in a u16, and walking further for one
/// message would take a microcontroller more than a second.
pub const MAX_SKIP: usize = 1_000;

/// Bytes: the largest block to which a sender may round up its plaintexts.
pub const MAX_PADDING_BLOCK: usize = 1_024;

/// Bytes to which plaintexts are rounded up unless the application says otherwise: it hides the length of a short
/// word and costs half a block on average.
pub const PADDING_BLOCK: usize = 32;

/// Bytes of a ratchet header: public key 32, PN 4, N 4.
pub const HEADER: usize = 40;

/// Bytes of the longest nonce, XChaCha20-Poly1305's.
pub const MAX_NONCE: usize = 24;

/// Bytes of the largest prelude: array head 1, generation 5, mode 1, ephemeral key 34, two prekey ids of 5, two
/// nulls, and the initiator's chain behind a 3-byte head. A chain with a revocation in it is longer: whoever has one is
/// named by id, and its chain is fetched (`PROTOCOL.md` section 6).
pub const MAX_PRELUDE: usize = 1 + 5 + 1 + 34 + 5 + 5 + PRELUDE_KEM + 3 + MAX_CERTS_BYTES;

/// Bytes of a prelude's KEM fields: the key's id 5 and the ciphertext behind a 3-byte head, or two nulls.
const PRELUDE_KEM: usize = if cfg!(feature = "pq") { 5 + 3 + KEM_CIPHERTEXT } else { 1 + 1 };

/// Bytes of the largest `header_blob`: type 1, suite 1, prelude behind a 2-byte length, nonce, sealed header.
/// A longer one is refused before any key is tried.
pub const MAX_HEADER_BLOB: usize = 2 + 2 + MAX_PRELUDE + MAX_NONCE + HEADER + TAG;

/// Bytes of a proposed device name. Longer ones are refused where they are typed.
pub const NAME_MAX: usize = 40;

/// Bytes of a proposed platform: with name, separator and end mark it fills the 64 sealed bytes.
pub const PLATFORM_MAX: usize = 22;

/// Generations that a prelude may be ahead of the last accepted one: far more than anyone loses, far fewer than
/// would let one prelude use up the number space.
pub const MAX_GENERATION_JUMP: u32 = 1 << 20;

// The shortest initiator field is an id, so the largest stands in the bound above.
const _: () = assert!(DeviceId::LEN < MAX_CERTS_BYTES);

/// Milliseconds for which a signed prekey is current: a week. The one before is kept until the next rotation, so for
/// another week at least (`PROTOCOL.md` section 5).
pub const PREKEY_ROTATION: u64 = 7 * 24 * 3_600 * 1_000;

/// Milliseconds of uptime after which a prekey's age is stored: what a device without a clock forgets of it when it
/// restarts. Four writes a day.
pub const PREKEY_RECKONING: u64 = 6 * 3_600 * 1_000;

/// Prekey ids that are passed over at least when storage went back, and less than twice as many: what a device
/// publishes in seven years of 24 one-time prekeys a day, so that the new ids are above all that it forgot. It can go
/// back 32,000 times.
pub const PREKEY_IDS_PASSED_OVER: u32 = 1 << 16;

/// Seconds: the oldest signed prekey that an initiator with a clock uses. A device rotates weekly; the rest is for one
/// that was switched off (`PROTOCOL.md` section 5).
pub const MAX_PREKEY_AGE: u64 = 5 * 7 * 24 * 3_600;

/// Bytes by which a record's buffer is larger than the largest `Deliver` frame: what an outbox entry holds beside a
/// message, and its seal. That it is enough is checked at compile time.
pub const RECORD_OVERHEAD: usize = 160;

/// One-time prekeys whose secrets a device keeps. An enrollment needs one; the rest serve later initiators.
pub const ONE_TIME_PREKEYS: usize = 8;

/// Revoked owners, and revoked peers, whose ids a device keeps for ever, 32 bytes each with who said it. With no room
/// for one more, every chain that was not believed before is refused: the device goes on with the peers that it has.
pub const REVOKED: usize = 24;

/// Agents with which an agent has sessions by its application's word: a microcontroller talks to its owners, and to a
/// neighbour or two. One more is refused.
pub const ALLOWED_PEERS: usize = 8;

/// One-time KEM prekeys whose secrets a device keeps: half as many as of the others, since with 1,184 bytes each they
/// are what fills a `PublishPrekeys` call.
pub const ONE_TIME_KEM_PREKEYS: usize = if cfg!(feature = "pq") { 4 } else { 0 };

/// KEM prekeys whose secrets a device keeps: the one-time ones, the last-resort one, and the one before it.
pub const KEM_PREKEYS: usize = if cfg!(feature = "pq") { ONE_TIME_KEM_PREKEYS + 2 } else { 0 };

/// KEM prekeys in one `PublishPrekeys` call: the one-time ones and the last-resort one.
pub const KEM_PREKEYS_PUBLISHED: usize = if cfg!(feature = "pq") { ONE_TIME_KEM_PREKEYS + 1 } else { 0 };

/// KEM prekeys of a bundle that a device makes or keeps: where no suite has a KEM, nobody could use one.
pub const KEM_PREKEYS_IN_BUNDLE: usize = if cfg!(feature = "pq") { 1 } else { 0 };

/// Bytes of the largest bundle that a device makes of its own prekeys.
pub const OWN_BUNDLE: usize =
    if cfg!(feature = "pq") { Bundle::MAX_LEN } else { Bundle::MAX_LEN_WITHOUT_KEM };

/// Invites that an owner's device keeps at a time, used ones too: until one expires, its keys tell whether a second
/// device holds its token. With all places taken, making another one is refused until the first expires. A build
/// without feature `owner` makes none.
pub const INVITES: usize = if cfg!(feature = "owner") { 8 } else { 0 };

/// API keys that an owner's device has granted and not closed: each takes a kilobyte for the devices that enrolled with
/// it. With no room, the next is granted when one is closed. A device without feature `owner` grants none.
pub const KEYS: usize = if cfg!(feature = "owner") { 4 } else { 0 };

/// Verified enrollment requests that wait for the owner's word. The oldest goes for a fifth, and comes back when the
/// requests are listed again.
pub const PENDING_REQUESTS: usize = 4;

/// Events that the application has not fetched. The oldest goes for another; what they report is in the views.
pub const EVENTS: usize = 16;

/// Milliseconds of uptime for which the losing one of two sessions still receives (`PROTOCOL.md` section 6): a day,
/// longer than a device is usually cut off with messages under way.
pub const LOSER_LIFETIME: u64 = 24 * 3_600 * 1_000;

/// Preludes that a peer may have answered at once; each costs six Diffie-Hellman steps.
pub const PRELUDE_BURST: u8 = 2;

/// Milliseconds of uptime after which a peer may have one more prelude answered.
pub const PRELUDE_PERIOD: u64 = 60_000;

/// Messages to one peer that wait for its receipt. The oldest that the relay has is given up for another, and the
/// application is told that its fate is unknown.
pub const UNRECEIPTED_PER_PEER: usize = 32;

/// Outbox entries that messages of the application leave free: receipts have to go out when everything else waits
/// for them, or two devices with full outboxes would wait for each other.
pub const CONTROL_ENTRIES: usize = 1;

/// Chains of a session that a receipt accounts for: the current and the three before it. What is older was receipted
/// long ago, or is sent again.
pub const HISTORY_CHAINS: usize = 4;

/// Ids by which a peer's messages are known to have come: half as many again as it can hold for sending again.
pub const SEEN_MESSAGES: usize = UNRECEIPTED_PER_PEER + UNRECEIPTED_PER_PEER / 2;

/// Ids by which a peer's other frames, receipts and the like, are known to have come. An older duplicate is asked for as
/// if it had been lost, and its sender no longer holds it.
pub const SEEN_FRAMES: usize = 16;

/// Ids of frames that did not open and are to be asked for, of all peers. The oldest goes for another: its message
/// is then sent again only when its sender misses the receipt.
pub const UNOPENED_IDS: usize = 16;

/// Milliseconds within which an opened message is receipted; others opened meanwhile share the receipt.
pub const HAVE_DELAY: u64 = 60_000;

/// Milliseconds after which a message that a receipt shows missing is sent again. Sooner it may still be under way.
pub const AGAIN_AFTER: u64 = 120_000;

/// Milliseconds for which a message waits for its receipt before the peer is asked, and so often again: 10, 20, 40,
/// and from then on 60 minutes.
pub const CHECK_AFTER: u64 = 600_000;

/// Milliseconds to which waiting times double at the most: an hour.
pub const LONGEST_WAIT: u64 = 3_600_000;

/// Milliseconds before frames that did not open are asked for: what comes meanwhile is asked for together.
pub const RESYNC_DELAY: u64 = 2_000;

/// Milliseconds for which a message waits until it is known who sent it. A relay that takes longer withholds it anyway.
pub const INTRODUCTION_WAIT: u64 = 30_000;

/// Milliseconds after which a resync without any answer, or a first flight without a reply, is repeated.
pub const ANSWER_AFTER: u64 = 60_000;
