//! Which jobs go into one transaction.

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Job;
use crate::limits::{GATHER, MAX_BATCH};

/// One writer's queue.
pub(super) struct Gatherer<J = Job> {
    queue: mpsc::Receiver<J>,
    /// Jobs of the batch before.
    last: usize,
}

impl<J> Gatherer<J> {
    pub(super) const fn new(queue: mpsc::Receiver<J>) -> Self {
        Self { queue, last: 1 }
    }

    /// The next batch; `None` when nobody can send any more.
    ///
    /// What came while the last transaction committed goes at once if it is as much as went then. If it is less, the
    /// others, who were answered a moment ago, are probably about to send again. Alone, nobody waits for anybody.
    pub(super) async fn next(&mut self) -> Option<Vec<J>> {
        let mut jobs = Vec::new();
        if self.queue.recv_many(&mut jobs, MAX_BATCH).await == 0 {
            return None;
        }
        if jobs.len() < self.last {
            // Whoever has not come by then is in the next one.
            let _ = timeout(GATHER, self.gather(&mut jobs)).await;
        }
        self.last = jobs.len();
        Some(jobs)
    }

    /// Until there are as many as last time. Cancel safe.
    async fn gather(&mut self, jobs: &mut Vec<J>) {
        while let Some(missing @ 1..) = self.last.checked_sub(jobs.len()) {
            if self.queue.recv_many(jobs, missing).await == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
