use super::{shorten, wrap};

#[test]
fn lines_break_at_blanks_and_keep_their_indent() {
    assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
    assert_eq!(wrap("", 9), [""]);
    assert_eq!(wrap("exactly 9", 9), ["exactly 9"]);
    assert_eq!(wrap("a  column", 9), ["a  column"]);
}

#[test]
fn a_word_longer_than_a_line_is_broken() {
    assert_eq!(wrap("  abcdefghijklmnop", 9), ["  abcdefg", "  hijklmn", "  op"]);
    assert_eq!(wrap("ab cdefghijkl", 6), ["ab", "cdefgh", "ijkl"]);
}

#[test]
fn a_long_text_is_shortened_in_the_middle() {
    assert_eq!(shorten("abcdefghij", 3, 2), "abc…ij");
    assert_eq!(shorten("abcdef", 3, 2), "abcdef");
}
