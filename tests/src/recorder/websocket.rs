//! WebSocket frames (RFC 6455 section 5.2) out of a recorded stream: just enough to take the mask off.

/// Opcodes 0 to 2 carry data, 8 and above control the connection.
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;

/// One frame, unmasked.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    last: bool,
    opcode: u8,
    payload: Vec<u8>,
}

/// The payload of every frame, control frames and an unfinished last one too: all that a search must see.
pub fn payloads(stream: &[u8]) -> Vec<Vec<u8>> {
    frames(stream).into_iter().map(|frame| frame.payload).collect()
}

/// The binary messages, their fragments put together.
pub fn messages(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut message = None;
    for frame in frames(stream) {
        match frame.opcode {
            BINARY => message = Some(frame.payload),
            CONTINUATION => message.iter_mut().for_each(|message| message.extend_from_slice(&frame.payload)),
            _ => continue,
        }
        if frame.last {
            messages.extend(message.take());
        }
    }
    messages
}

/// Frames behind the HTTP head of one direction of a connection.
fn frames(stream: &[u8]) -> Vec<Frame> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let mut frames = Vec::new();
    let Some(head) = stream.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return frames;
    };
    let mut rest = stream.get(head + HEAD_END.len()..).unwrap_or_default();
    while let Some(frame) = frame(&mut rest) {
        frames.push(frame);
    }
    frames
}

fn frame(rest: &mut &[u8]) -> Option<Frame> {
    let [first, second] = *take(rest)?;
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(*take(rest)?)),
        127 => u64::from_be_bytes(*take(rest)?),
        short => u64::from(short),
    };
    let mask = if second & 0x80 == 0 { [0; 4] } else { *take(rest)? };
    let available = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
    let (masked, tail) = rest.split_at_checked(available)?;
    *rest = tail;
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some(Frame { last: first & 0x80 != 0, opcode: first & 0x0f, payload })
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
