//! One batch: committed, and everybody answered, whatever happens to the database meanwhile.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use av_wire::ids::{DeviceId, MessageId, TenantId};
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use super::Job;
use crate::bus::Bus;
use crate::store::{
    GroupError, GroupTx, NewAcknowledgement, NewMessage, Outcome, Store, StoreError, acknowledged,
};

/// For a database that went away in the middle of a commit to come back and say what became of it. Then the senders
/// are told to try again, and their retries ask the same.
const LOST_DEADLINE: Duration = Duration::from_secs(5);
/// Between two tries to reach it.
const LOST_PAUSE: Duration = Duration::from_millis(100);
/// Transactions that got into each other's way, one after the other. Locks are taken in one order, so that there
/// should be none.
const MAX_CONFLICTS: u32 = 8;

/// What became of a job.
enum Done {
    Sent(Outcome),
    Acknowledged(bool),
}

/// Why a transaction did not go through.
enum Failure {
    /// Nothing was stored, and another try may do.
    Conflict(StoreError),
    /// It may have been stored.
    Lost(StoreError),
    /// Nothing was stored: something about one of the jobs, or nobody knows what.
    Unexpected(StoreError),
    /// Nothing was stored, and none of the jobs is to blame.
    Unavailable(StoreError),
}

impl Failure {
    fn of_server(error: tokio_postgres::Error) -> Self {
        let (class, code) = match error.code() {
            Some(code) => (code.code().get(..2).unwrap_or_default().to_owned(), Some(code.clone())),
            None => (String::new(), None),
        };
        let error = StoreError::from(error);
        match code {
            Some(SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED) => {
                Self::Conflict(error)
            }
            Some(SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED) => Self::Unavailable(error),
            // Out of disk, memory or connections; told to stop; failing disks.
            _ if matches!(class.as_str(), "53" | "57" | "58") => Self::Unavailable(error),
            _ => Self::Unexpected(error),
        }
    }
}

/// Commits the jobs in one transaction, and answers each. On an unexpected error in two, and so on, until the job that
/// causes it is alone.
pub(super) async fn commit(store: &Store, bus: &Bus, jobs: Vec<Job>) {
    let mut batches = vec![without_copies(jobs)];
    while let Some(mut jobs) = batches.pop() {
        match write(store, &jobs).await {
            Ok(done) => answer(bus, jobs, done),
            Err(Failure::Unexpected(error)) if jobs.len() > 1 => {
                tracing::warn!(%error, jobs = jobs.len(), "a batch failed and is halved");
                let second = jobs.split_off(jobs.len() / 2);
                batches.extend([second, jobs]);
            }
            Err(
                Failure::Unexpected(error)
                | Failure::Unavailable(error)
                | Failure::Lost(error)
                | Failure::Conflict(error),
            ) => {
                tracing::error!(%error, jobs = jobs.len(), "not written");
                refuse(jobs);
            }
        }
    }
}

/// The same message twice is one, with two who wait for it.
fn without_copies(jobs: Vec<Job>) -> Vec<Job> {
    let mut places: HashMap<(TenantId, DeviceId, MessageId), usize> = HashMap::new();
    let mut kept: Vec<Job> = Vec::with_capacity(jobs.len());
    for mut job in jobs {
        if let Job::Send { message, answers, .. } = &mut job {
            match places.entry((message.tenant, message.sender, message.id)) {
                Entry::Occupied(place) => {
                    if let Some(Job::Send { answers: first, .. }) = kept.get_mut(*place.get()) {
                        first.append(answers);
                    }
                    continue;
                }
                Entry::Vacant(place) => {
                    place.insert(kept.len());
                }
            }
        }
        kept.push(job);
    }
    kept
}

/// Until it is known what became of the jobs. After a lost connection the same is simply done again: what the first
/// try stored, the second recognises by its ids.
async fn write(store: &Store, jobs: &[Job]) -> Result<Vec<Done>, Failure> {
    let mut conflicts = 0;
    let mut lost_at = None;
    loop {
        let failure = match try_write(store, jobs).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        match failure {
            Failure::Conflict(_) if conflicts < MAX_CONFLICTS => conflicts += 1,
            Failure::Lost(_) if lost_at.get_or_insert_with(Instant::now).elapsed() < LOST_DEADLINE => {
                sleep(LOST_PAUSE).await;
            }
            // Whether the first try was stored is still to be found out.
            Failure::Unavailable(_)
                if lost_at.is_some_and(|lost_at: Instant| lost_at.elapsed() < LOST_DEADLINE) =>
            {
                sleep(LOST_PAUSE).await;
            }
            failure => return Err(failure),
        }
    }
}

/// Indices of one tenant's jobs.
#[derive(Default)]
struct Part {
    sends: Vec<usize>,
    acknowledgements: Vec<usize>,
}

/// One transaction, in one round trip.
async fn try_write(store: &Store, jobs: &[Job]) -> Result<Vec<Done>, Failure> {
    let client = store.writer().await.map_err(Failure::Unavailable)?;
    let mut group = GroupTx::begin(&client).await.map_err(Failure::Unavailable)?;
    let mut tickets = Vec::new();
    for (tenant, part) in parts(jobs) {
        let (messages, acknowledgements) = (messages(jobs, &part), acknowledgements(jobs, &part));
        let mut scope = group.as_tenant(&tenant);
        scope.lock_inboxes(inboxes(&messages, &acknowledgements));
        // Room that is given back is there for what comes.
        let acknowledged = match acknowledgements {
            none if none.is_empty() => None,
            some => Some(scope.acknowledge(some).map_err(Failure::Unexpected)?),
        };
        let sent = if messages.is_empty() { None } else { Some(scope.send(messages)) };
        tickets.push((part, sent, acknowledged));
    }
    let answers = group.commit().await.map_err(|error| match error {
        GroupError::Refused(error) => Failure::of_server(error),
        GroupError::Lost(error) => Failure::Lost(error.into()),
    })?;
    let mut done = BTreeMap::new();
    for (part, sent, taken) in tickets {
        if let Some(ticket) = sent {
            let outcomes = Outcome::from_rows(answers.rows(ticket)).map_err(Failure::Unexpected)?;
            done.extend(part.sends.into_iter().zip(outcomes.into_iter().map(Done::Sent)));
        }
        if let Some(ticket) = taken {
            let rows = answers.rows(ticket);
            let taken = acknowledged(rows, part.acknowledgements.len()).map_err(Failure::Unexpected)?;
            done.extend(part.acknowledgements.into_iter().zip(taken.into_iter().map(Done::Acknowledged)));
        }
    }
    Ok(done.into_values().collect())
}

/// In the order in which all writers take tenants.
fn parts(jobs: &[Job]) -> BTreeMap<TenantId, Part> {
    let mut parts: BTreeMap<_, Part> = BTreeMap::new();
    for (index, job) in jobs.iter().enumerate() {
        match job {
            Job::Send { message, .. } => parts.entry(message.tenant).or_default().sends.push(index),
            Job::Acknowledge { acknowledgement, .. } => {
                parts.entry(acknowledgement.tenant).or_default().acknowledgements.push(index);
            }
        }
    }
    parts
}

fn messages<'j>(jobs: &'j [Job], part: &Part) -> Vec<NewMessage<'j>> {
    let message = |index: &usize| match jobs.get(*index) {
        Some(Job::Send { message, .. }) => Some(NewMessage {
            id: message.id,
            sender: message.sender,
            recipient: message.recipient,
            header_blob: &message.header_blob,
            ciphertext: &message.ciphertext,
        }),
        _ => None,
    };
    part.sends.iter().filter_map(message).collect()
}

fn acknowledgements<'j>(jobs: &'j [Job], part: &Part) -> Vec<NewAcknowledgement<'j>> {
    let acknowledgement = |index: &usize| match jobs.get(*index) {
        Some(Job::Acknowledge { acknowledgement, .. }) => Some(NewAcknowledgement {
            device: acknowledgement.device,
            epoch: acknowledgement.epoch,
            sequence: acknowledgement.sequence,
            rejected: &acknowledgement.rejected,
        }),
        _ => None,
    };
    part.acknowledgements.iter().filter_map(acknowledgement).collect()
}

fn inboxes(messages: &[NewMessage<'_>], acknowledgements: &[NewAcknowledgement<'_>]) -> BTreeSet<DeviceId> {
    let recipients = messages.iter().map(|message| message.recipient);
    recipients.chain(acknowledgements.iter().map(|acknowledgement| acknowledgement.device)).collect()
}

/// Whoever waits in vain went away; what was stored stays stored.
fn answer(bus: &Bus, jobs: Vec<Job>, done: Vec<Done>) {
    let mut woken = HashSet::new();
    for (job, done) in jobs.into_iter().zip(done) {
        match (job, done) {
            (Job::Send { message, answers, .. }, Done::Sent(outcome)) => {
                let is_stored = matches!(outcome, Outcome::Stored | Outcome::StoredBefore);
                if is_stored && woken.insert((message.tenant, message.recipient)) {
                    bus.wake(&message.tenant, &message.recipient);
                }
                for answer in answers {
                    let _ = answer.send(Ok(outcome));
                }
            }
            (Job::Acknowledge { answer, .. }, Done::Acknowledged(is_good)) => {
                let _ = answer.send(Ok(is_good));
            }
            (job, _) => refuse(vec![job]),
        }
    }
}

fn refuse(jobs: Vec<Job>) {
    for job in jobs {
        match job {
            Job::Send { answers, .. } => {
                for answer in answers {
                    let _ = answer.send(Err(StoreError::NotWritten));
                }
            }
            Job::Acknowledge { answer, .. } => {
                let _ = answer.send(Err(StoreError::NotWritten));
            }
        }
    }
}

#[cfg(test)]
mod tests;
