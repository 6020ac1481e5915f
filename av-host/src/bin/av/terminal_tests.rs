use super::Escaped;

fn escaped(text: &str) -> String {
    Escaped(text).to_string()
}

#[test]
fn plain_text_of_any_language_stays() {
    for text in ["how warm is it?", "21,5 °C", "ключ 鍵 مفتاح", "🔑 👩‍🔬".replace('\u{200d}', "").as_str()]
    {
        assert_eq!(escaped(text), text);
    }
}

#[test]
fn nothing_reaches_the_terminal_that_controls_it() {
    assert_eq!(escaped("\u{1b}[2J\u{1b}]0;x\u{7}"), "\\u{1b}[2J\\u{1b}]0;x\\u{7}");
    assert_eq!(escaped("a\rb\nc\td\u{8}"), "a\\rb\\nc\\td\\u{8}");
    assert_eq!(escaped("\u{9b}31m"), "\\u{9b}31m", "the eight-bit control introducer");
}

#[test]
fn nothing_reverses_or_hides_what_is_read() {
    for character in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{2028}', '\u{feff}', '\u{61c}'] {
        let shown = escaped(&format!("a{character}b"));
        assert!(shown.is_ascii(), "{shown:?}");
    }
}
