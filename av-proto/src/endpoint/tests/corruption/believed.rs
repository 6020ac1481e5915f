//! What a device believes of a relay's frames without a signature, tag or seal under it, and why it may.

use super::Verdict;
use super::Verdict::{Burnt, Changed, Genuine, Told};

/// Frame, field, what a changed one may do, and why.
pub(super) type Believed = (u8, &'static str, Verdict, &'static str);

/// The relay's own word, which is a hint or its own business. Whatever is not listed is refused, ignored or rejected.
pub(super) const BELIEVED: [Believed; 34] = [
    (65, "inbox_epoch", Genuine, "the relay names the inbox, and the first name is as good as any"),
    (65, "inbox_epoch", Changed, "a new name begins the count anew: what comes twice is known by its id"),
    (65, "next_sequence", Genuine, "where the inbox goes on: an earlier place begins the count anew"),
    (65, "one_time_prekeys", Genuine, "a hint on which nothing depends"),
    (66, "tenant_id", Genuine, "a claim that nobody believes: the grant says which tenant it is"),
    (69, "code", Told, "why the relay parts from this device is its own word"),
    (69, "request", Told, "the same, of the whole connection"),
    (69, "retry_after", Genuine, "a wish"),
    (71, "inviter", Told, "the request is shown as another device's to approve, and cannot be approved here"),
    (71, "late", Genuine, "whoever else showed the invite's lookup is the relay's to know; the tag decides"),
    (71, "device", Burnt, "a request that does not verify is an attack"),
    (71, "bundle", Burnt, "the same"),
    (71, "sealed_name", Burnt, "the same"),
    (71, "pop", Burnt, "the same"),
    (71, "tag", Burnt, "the same"),
    (74, "code", Changed, "why the relay does not take a message is its own word"),
    (75, "sequence", Genuine, "the relay numbers its entries"),
    (75, "previous", Genuine, "the first entry of a connection may show a gap, which is told"),
    (75, "previous", Changed, "an older copy, as a gap shows this to be, replaces its prekeys"),
    (75, "received_at", Genuine, "the relay's clock, which nothing asks"),
    (76, "sequence", Genuine, "as of a message"),
    (76, "previous", Genuine, "as of a message"),
    (77, "sequence", Genuine, "as of a message"),
    (77, "previous", Changed, "as of a message"),
    (79, "chain", Genuine, "a known peer's prekeys are verified under its own key, without a chain"),
    (79, "bundle", Changed, "whom a chain certifies is known from then on, whatever the prekeys beside it"),
    (81, "number", Told, "one hint for another"),
    (82, "number", Told, "the same"),
    (83, "number", Told, "the same"),
    (84, "request", Genuine, "what is signed counts, whichever call it answers"),
    (85, "sequence", Genuine, "as of a message"),
    (85, "previous", Genuine, "as of a message"),
    (87, "sequence", Genuine, "as of a message"),
    (87, "previous", Changed, "as of a message"),
];

/// The fields of a frame, in the order of the wire; the last name stands for all that follow.
fn fields(number: u8) -> &'static [&'static str] {
    match number {
        64 => &["nonce", "server_time"],
        65 => &["inbox_epoch", "next_sequence", "one_time_prekeys"],
        66 => &["tenant_id"],
        67 => &["grant"],
        68 => &["request"],
        69 => &["request", "code", "retry_after"],
        70 => &["request", "lookup_hash", "role", "expires_at", "consumed"],
        71 => &["request", "inviter", "lookup", "device", "bundle", "sealed_name", "pop", "tag", "late"],
        72 => &["request", "chain"],
        73 => &["message_id"],
        74 => &["message_id", "code"],
        75 => &["sequence", "previous", "sender", "header_blob", "ciphertext", "received_at"],
        76 => &["sequence", "previous", "statement", "chain"],
        77 => &["sequence", "previous", "device_id", "signature"],
        78 => &["message_id", "fate"],
        79 => &["request", "chain", "bundle"],
        84 => &["request", "statement", "chain"],
        85 | 87 => &["sequence", "previous", "chain"],
        86 => &["chain"],
        _ => &["number"],
    }
}

pub(super) fn field(number: u8, leaf: usize) -> &'static str {
    let fields = fields(number);
    match leaf.checked_sub(1) {
        None => "number",
        Some(leaf) => fields.get(leaf).or(fields.last()).copied().unwrap_or("number"),
    }
}
