use tokio::io::AsyncBufReadExt;

use super::next_line;

#[tokio::test]
async fn lines_are_bytes_and_the_last_one_needs_no_end() {
    let typed: &[u8] = b"one\r\n\xff\xfe two\n\nthree";
    let mut lines = AsyncBufReadExt::split(typed, b'\n');
    let mut seen = Vec::new();
    while let Some(line) =
        next_line(&mut lines).await.map_err(|failure| failure.message().to_owned()).unwrap()
    {
        seen.push(line);
    }
    assert_eq!(seen, [&b"one"[..], b"\xff\xfe two", b"", b"three"]);
}
