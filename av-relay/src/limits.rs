//! What there may be at most: name, unit, reason.

use std::time::Duration;

/// Messages that may wait in one inbox. At 4 KiB a message that is 40 MB for a device that never comes.
pub(crate) const MAX_WAITING: i64 = 10_000;

/// Bytes of header_blob and ciphertext that may wait in one inbox: a thousand of the largest messages.
pub(crate) const MAX_WAITING_BYTES: i64 = 64 << 20;

/// Bytes that may wait in all inboxes of a tenant: sixteen full ones, so that many devices that never come cannot
/// fill the disk. Transactions that run at the same time do not see each other's, and exceed it by a batch each.
pub(crate) const MAX_TENANT_BYTES: i64 = 1 << 30;

/// Days after which a message that nobody acknowledged is deleted.
pub(crate) const CONTENT_DAYS: i32 = 30;

/// Days for which a message's receipt is kept, so that the sender's retry is recognised: longer than the message
/// itself, and than the 30 days after which a sender must not repeat it.
pub(crate) const RECEIPT_DAYS: i32 = 35;

/// Connections that write messages and acknowledgements, each with one transaction at a time. More share the same
/// disk's fsync, and make smaller batches.
pub(crate) const WRITERS: usize = 4;

/// Messages and acknowledgements in one transaction: with 256 the fsync costs each of them little, and none waits
/// long for the others.
pub(crate) const MAX_BATCH: usize = 256;

/// Messages and acknowledgements that wait for one writer. Who has more to say waits to say it.
pub(crate) const MAX_QUEUED: usize = 4 * MAX_BATCH;

/// KiB of messages on their way to the database, of all connections together.
pub(crate) const MAX_QUEUED_KIB: usize = 64 << 10;

/// For others to come along. Only waited when others came along last time.
pub(crate) const GATHER: Duration = Duration::from_millis(2);

/// Messages and acknowledgements of one connection that are on their way to the database: what a device may send
/// ahead of the answers without waiting.
pub(crate) const MAX_UNANSWERED: usize = 32;

/// Bytes of messages in one read of an inbox, and one message more: what a connection holds at most while its device
/// reads slowly.
pub(crate) const PAGE_BYTES: i64 = 64 << 10;
