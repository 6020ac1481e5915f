//! Encodings in vectors of their own.

use av_wire::cbor::Encode;

/// The encoding of `value`.
pub(crate) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = vec![0; av_wire::encoded_len(value)];
    let written = av_wire::encode(value, &mut bytes).map(<[u8]>::len);
    debug_assert_eq!(written, Ok(bytes.len()), "the buffer is as long as the encoding");
    bytes
}
