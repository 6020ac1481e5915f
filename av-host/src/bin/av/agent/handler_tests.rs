use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use av_host::av_proto::wire::{DeviceId, MessageId};

use tokio::sync::RwLock;

use super::{Handler, HandlerError, MAX_ANSWER, Question};

/// A script that is being written while another test starts its handler would be inherited by that one, open for
/// writing, and could then not be executed itself (ETXTBSY). So scripts are written while no handler starts.
static SCRIPTS: RwLock<()> = RwLock::const_new(());

/// A handler script in a folder of its own.
struct Script {
    _directory: tempfile::TempDir,
    folder: PathBuf,
    handler: Handler,
}

impl Script {
    async fn new(body: &str) -> Self {
        Self::with_timeout(body, Duration::from_secs(60)).await
    }

    async fn with_timeout(body: &str, timeout: Duration) -> Self {
        let _writing = SCRIPTS.write().await;
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().to_owned();
        let program = folder.join("handler");
        fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let handler = Handler::new(&program, &folder, timeout).unwrap();
        Self { _directory: directory, folder, handler }
    }

    async fn attempt(&self, payload: &[u8]) -> Result<Vec<u8>, HandlerError> {
        let _starting = SCRIPTS.read().await;
        self.handler.attempt(&question(payload)).await
    }

    async fn answer(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let _starting = SCRIPTS.read().await;
        self.handler.answer(&question(payload)).await
    }
}

fn question(payload: &[u8]) -> Question<'_> {
    Question { from: DeviceId([1; 16]), from_name: "laptop", id: MessageId([2; 16]), payload }
}

#[tokio::test]
async fn any_bytes_go_in_and_any_bytes_come_out() {
    let bytes: Vec<u8> = (0..=255).cycle().take(MAX_ANSWER).collect();
    assert_eq!(Script::new("cat").await.attempt(&bytes).await.unwrap(), bytes);
}

#[tokio::test]
async fn no_output_is_no_answer_and_input_need_not_be_read() {
    let bytes = vec![b'x'; 1 << 20];
    assert_eq!(Script::new("exec <&-").await.attempt(&bytes).await.unwrap(), b"");
}

#[tokio::test]
async fn the_handler_knows_the_message_and_not_the_passphrase() {
    let script =
        Script::new("echo \"$AV_FROM|$AV_FROM_NAME|$AV_MESSAGE_ID|${AV_PASSPHRASE-none}\"; pwd").await;
    let answer = String::from_utf8(script.attempt(b"").await.unwrap()).unwrap();
    let folder = fs::canonicalize(&script.folder).unwrap();
    let expected = format!("{}|laptop|{}|none\n{}\n", "01".repeat(16), "02".repeat(16), folder.display());
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_failing_handler_is_tried_three_times_and_given_up() {
    let script = Script::new("echo try >> tries; exit 7").await;
    assert_eq!(script.answer(b"").await, None);
    assert_eq!(fs::read_to_string(script.folder.join("tries")).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_handler_that_recovers_answers() {
    let script = Script::new("test -e ready && exec echo warm; touch ready; exit 1").await;
    assert_eq!(script.answer(b"").await.unwrap(), b"warm\n");
}

#[tokio::test]
async fn a_handler_that_hangs_is_ended_with_all_it_started() {
    let script = Script::with_timeout("sleep 600 & echo $! > child; wait", Duration::from_millis(300)).await;
    let began = Instant::now();
    assert!(matches!(script.attempt(b"").await, Err(HandlerError::Timeout(_))));
    assert!(began.elapsed() < Duration::from_secs(60));
    let child = fs::read_to_string(script.folder.join("child")).unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.trim()));
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_running(&status) {
        assert!(Instant::now() < deadline, "the handler's own child goes on");
        tokio::task::yield_now().await;
    }
}

/// A process that ended and that nobody waited for is a zombie: it runs no more.
fn is_running(status: &std::path::Path) -> bool {
    fs::read_to_string(status).is_ok_and(|text| !text.contains("State:\tZ"))
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    assert!(matches!(Script::new("cat /dev/zero").await.attempt(b"").await, Err(HandlerError::TooLong)));
}
