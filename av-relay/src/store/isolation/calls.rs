//! A row for each function of the store, by its name.

use std::fmt::Debug;

use av_wire::RejectCode;
use av_wire::enroll::EnrollTranscript;
use av_wire::ids::{DeviceId, KeyId, LookupHash, MessageId};
use av_wire::public::Role;
use av_wire::signature::Signature;
use av_wire::statement::Verdict;

use super::fixture::{CONSUMED_INVITE, EPOCH, EPOCH_IN_A, Fixture, KEY, OPEN_INVITE, SENT_IN_A};
use crate::store::group_tx::{TenantPart, Ticket};
use crate::store::{
    Approval, DeviceStatus, Enrolled, EnrolledWithKey, NewAcknowledgement, NewMessage, NewStatement,
    StoreError, StoredKind, StoredPrekey, TenantTx,
};

/// What a function that fails says. How it fails is not told to anybody.
pub(super) const REFUSED: &str = "refused";

fn said<T: Debug>(result: Result<T, StoreError>) -> String {
    result.map_or_else(|_| REFUSED.to_owned(), |value| format!("{value:?}"))
}

/// Calls the transaction's function of this name; none if there is no row for it here.
pub(super) async fn call(tx: &TenantTx, f: &Fixture, name: &str) -> Option<String> {
    let [owner, agent, pending, approved, held, out, new] =
        [&f.owner, &f.agent, &f.pending, &f.approved, &f.held, &f.out, &f.new]
            .map(|public| public.device_id());
    let transcript = EnrollTranscript([0; 32]);
    let said = match name {
        // tenants
        "insert_tenant" => said(tx.insert_tenant(&[1; 32]).await),
        "insert_user" => said(tx.insert_user().await.map(drop)),
        "root_key" => said(tx.root_key().await),
        "lock_authority" => said(tx.lock_authority().await),
        "next_statement_place" => said(tx.next_statement_place().await),
        // devices
        "device" => said(tx.device(&agent).await),
        "standing" => said(tx.standing(&held).await),
        "insert_founder" => said(tx.insert_founder(&f.new, &[0xbb; 16], b"chain").await),
        "insert_pending" => {
            let enrolled = Enrolled { public: &f.new, transcript: &transcript, inviter: &owner };
            said(tx.insert_pending(&enrolled).await)
        }
        "approve_device" => {
            let approval = Approval { by: &owner, chain: b"chain", grant: b"grant" };
            said(tx.approve_device(&pending, &approval).await)
        }
        "reject_device" => said(tx.reject_device(&pending).await),
        "activate_device" => said(tx.activate_device(&approved, &Signature([0; 64])).await),
        "recertify_device" => said(tx.recertify_device(&agent, b"chain").await),
        "set_status" => said(tx.set_status(&agent, DeviceStatus::Suspended).await),
        "owner_count" => said(tx.owner_count().await),
        "revoked_owners" => said(tx.revoked_owners().await),
        // invites
        "open_invites" => said(tx.open_invites(&owner).await),
        "insert_invite" => said(tx.insert_invite(&owner, &LookupHash([9; 32]), Role::Agent, 60).await),
        "inviter" => said(tx.inviter(&OPEN_INVITE).await),
        "invites" => said(tx.invites(&owner).await.map(|invites| {
            // All but the time.
            let seen = |invite: &crate::store::Invite| (invite.lookup_hash, invite.role, invite.consumed);
            invites.iter().map(seen).collect::<Vec<_>>()
        })),
        "revoke_invite" => said(tx.revoke_invite(&owner, &OPEN_INVITE).await),
        "use_invite" => said(tx.use_invite(&CONSUMED_INVITE).await),
        "consume_invite" => said(tx.consume_invite(&OPEN_INVITE, &approved, b"request").await),
        "request_of" => said(tx.request_of(&pending).await),
        "keep_late_request" => said(tx.keep_late_request(&CONSUMED_INVITE, &new, b"late").await),
        "clear_late_request" => said(tx.clear_late_request(&out).await),
        "pending_requests" => said(tx.pending_requests().await),
        // API keys
        "api_key" => said(tx.api_key(&KEY).await),
        "insert_api_key" => said(tx.insert_api_key(&KeyId([9; 16]), &owner, b"grant", 9_999_999_999).await),
        "open_api_keys" => said(tx.open_api_keys(&owner).await),
        "api_key_uses" => said(tx.api_key_uses(&KEY).await),
        "insert_enrolled_with_key" => {
            let enrolled = EnrolledWithKey { public: &f.new, chain: b"chain", key: &KEY, owner: &owner };
            said(tx.insert_enrolled_with_key(&enrolled).await)
        }
        // prekeys
        "lock_prekeys" => said(tx.lock_prekeys(&agent).await),
        "store_prekeys" => {
            let key = |kind, id, record| StoredPrekey { kind, id, record, signature: Signature([0; 64]) };
            let keys = [
                key(StoredKind::Signed, 50, &[0; 45][..]),
                key(StoredKind::LastResortKem, 50, &[0; 1_197]),
                key(StoredKind::OneTime, 60, &[0; 45]),
                key(StoredKind::OneTimeKem, 61, &[0; 1_197]),
            ];
            said(tx.store_prekeys(&agent, &keys, 21).await)
        }
        "pass_over_one_time_prekeys" => said(tx.pass_over_one_time_prekeys(&agent, 77).await),
        "signed_prekey" => said(tx.signed_prekey(&agent).await),
        "last_resort_kem_prekey" => said(tx.last_resort_kem_prekey(&agent).await),
        "hand_out_one_time_prekey" => said(tx.hand_out_one_time_prekey(&agent, &owner).await),
        "hand_out_one_time_kem_prekey" => said(tx.hand_out_one_time_kem_prekey(&agent, &owner).await),
        "prekeys_left" => said(tx.prekeys_left(&agent, StoredKind::OneTime).await),
        // statements
        "posted_statement" => said(tx.posted_statement(&owner, 1).await),
        "statements_after" => said(tx.statements_after(&owner, 0, 9).await),
        "revocations_of" => said(tx.revocations_of(&[out, KEY.as_issuer()]).await),
        "last_serial" => said(tx.last_serial(&owner).await),
        "insert_statement" => {
            let statement = NewStatement {
                issuer: &owner,
                serial: 3,
                subject: &held,
                is_key: false,
                verdict: Verdict::Resumed,
                signed: b"signed",
                chain: b"chain",
            };
            said(tx.insert_statement(&statement).await)
        }
        "is_suspended" => {
            format!("{} {}", said(tx.is_suspended(&agent).await), said(tx.is_suspended(&held).await))
        }
        // inboxes
        "insert_inbox" => said(tx.insert_inbox(&pending).await),
        "inbox" => said(tx.inbox(&agent).await),
        "next_sequence" => said(tx.next_sequence(&agent).await),
        "insert_activated" => said(tx.insert_activated(&owner, &agent).await),
        "insert_recertified" => said(tx.insert_recertified(&agent, b"chain").await),
        "insert_key_used" => said(tx.insert_key_used(&owner, b"chain").await),
        "insert_statement_entries" => {
            said(tx.insert_statement_entries(&owner, 1).await.map(|mut devices| {
                devices.sort();
                devices
            }))
        }
        "entries_after" => said(tx.entries_after(&owner, 0, 16).await),
        _ => return None,
    };
    Some(said)
}

/// Asks the part's function of this name; none if there is no row for it here.
pub(super) fn ask<'c>(part: &mut TenantPart<'_, 'c>, f: &Fixture, name: &str) -> Option<Option<Ticket>> {
    let [owner, agent, held, out] = [&f.owner, &f.agent, &f.held, &f.out].map(|public| public.device_id());
    match name {
        "lock_inboxes" => {
            part.lock_inboxes([owner, agent].into());
            Some(None)
        }
        "acknowledge" => {
            let acknowledgement = |device, epoch, sequence| NewAcknowledgement {
                device,
                epoch,
                sequence,
                rejected: &[(2, RejectCode::Unopened)],
            };
            let all = vec![
                acknowledgement(owner, EPOCH, 3),
                acknowledgement(agent, EPOCH_IN_A, 1),
                acknowledgement(held, EPOCH, 1),
            ];
            Some(Some(part.acknowledge(all).unwrap()))
        }
        "send" => {
            let message = |id, sender: DeviceId, recipient: DeviceId| NewMessage {
                id,
                sender,
                recipient,
                header_blob: b"h",
                ciphertext: b"c",
            };
            let all = vec![
                message(MessageId([0x31; 16]), owner, agent),
                message(SENT_IN_A, agent, owner),
                message(MessageId([0x32; 16]), held, owner),
                message(MessageId([0x33; 16]), owner, held),
                message(MessageId([0x34; 16]), owner, out),
            ];
            Some(Some(part.send(all)))
        }
        _ => None,
    }
}
