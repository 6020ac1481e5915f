use av_wire::layout::Reader;

use super::{CodecError, ReadRecord, Writer};

#[test]
fn what_is_written_is_read() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    assert!(writer.is_empty());
    writer.u8(1).expect("fits");
    writer.u16(0x0203).expect("fits");
    writer.u32(0x0405_0607).expect("fits");
    writer.u64(0x0809_0a0b_0c0d_0e0f).expect("fits");
    writer.flag(true).expect("fits");
    writer.var(b"variable").expect("fits");
    writer.bytes(b"fixed").expect("fits");
    let len = writer.len();
    assert_eq!(len, 1 + 2 + 4 + 8 + 1 + 10 + 5);

    let mut reader = Reader::new(&buffer[..len]);
    assert_eq!(reader.u8(), Ok(1));
    assert_eq!(reader.u16(), Ok(0x0203));
    assert_eq!(reader.u32(), Ok(0x0405_0607));
    assert_eq!(reader.u64(), Ok(0x0809_0a0b_0c0d_0e0f));
    assert_eq!(reader.flag(), Ok(true));
    assert_eq!(reader.var(), Ok(&b"variable"[..]));
    assert_eq!(reader.bytes(5), Ok(&b"fixed"[..]));
    assert_eq!(reader.end(), Ok(()));
}

#[test]
fn a_full_buffer_takes_nothing_more() {
    let mut buffer = [0; 4];
    let mut writer = Writer::new(&mut buffer);
    writer.bytes(b"abc").expect("fits");
    assert_eq!(writer.u16(1), Err(CodecError));
    assert_eq!(writer.len(), 3);
    writer.u8(b'd').expect("the last byte is still free");
    assert_eq!(writer.u8(b'e'), Err(CodecError));
    assert_eq!(&buffer, b"abcd");
}

#[test]
fn a_length_that_two_bytes_do_not_hold_is_refused() {
    let mut buffer = std::vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer);
    assert_eq!(writer.var(&std::vec![0; 65_536]), Err(CodecError));
    assert_eq!(writer.len(), 0);
    assert_eq!(writer.var(&std::vec![0; 65_535]), Ok(()));
}

#[test]
fn a_flag_is_0_or_1_and_lengths_are_believed_only_as_far_as_bytes_go() {
    assert_eq!(Reader::new(&[2]).flag(), Err(CodecError));
    assert_eq!(Reader::new(&[]).flag(), Err(CodecError));
    assert_eq!(Reader::new(&[0, 3, 1, 2]).var(), Err(CodecError));
    assert_eq!(Reader::new(&[0]).var(), Err(CodecError));
}
