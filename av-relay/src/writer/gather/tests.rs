use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Gatherer;
use crate::limits::{GATHER, MAX_BATCH};

#[tokio::test(start_paused = true)]
async fn alone_nobody_waits() {
    let (sender, queue) = mpsc::channel(16);
    let mut gatherer = Gatherer::new(queue);
    for job in 0..3 {
        sender.send(job).await.unwrap();
        let before = Instant::now();
        assert_eq!(gatherer.next().await, Some(vec![job]));
        assert_eq!(before.elapsed().as_nanos(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_as_many_as_came_last_time_but_not_for_long() {
    let (sender, queue) = mpsc::channel(16);
    let mut gatherer = Gatherer::new(queue);
    for job in 0..3 {
        sender.send(job).await.unwrap();
    }
    assert_eq!(gatherer.next().await, Some(vec![0, 1, 2]));

    // The three come again, one of them late: nobody waits for a fourth.
    let late = sender.clone();
    sender.send(3).await.unwrap();
    sender.send(4).await.unwrap();
    tokio::spawn(async move {
        sleep(GATHER / 2).await;
        late.send(5).await.unwrap();
    });
    let before = Instant::now();
    assert_eq!(gatherer.next().await, Some(vec![3, 4, 5]));
    assert_eq!(before.elapsed(), GATHER / 2);

    // Two stay away: one wait, and none the next time.
    sender.send(6).await.unwrap();
    let before = Instant::now();
    assert_eq!(gatherer.next().await, Some(vec![6]));
    assert!(before.elapsed() >= GATHER && before.elapsed() < 2 * GATHER);
    sender.send(7).await.unwrap();
    let before = Instant::now();
    assert_eq!(gatherer.next().await, Some(vec![7]));
    assert_eq!(before.elapsed().as_nanos(), 0);
}

#[tokio::test]
async fn a_batch_has_a_size_and_the_last_one_ends_it() {
    let (sender, queue) = mpsc::channel(2 * MAX_BATCH);
    let mut gatherer = Gatherer::new(queue);
    for job in 0..=MAX_BATCH {
        sender.send(job).await.unwrap();
    }
    drop(sender);
    assert_eq!(gatherer.next().await.unwrap().len(), MAX_BATCH);
    assert_eq!(gatherer.next().await, Some(vec![MAX_BATCH]));
    assert_eq!(gatherer.next().await, None);
}
