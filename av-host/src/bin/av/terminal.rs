//! What reaches the terminal: whole lines, and nothing in them that a peer could control it with.

use std::fmt::{self, Write as _};
use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

/// Bytes of the longest lines that carry a secret: an invite's URL and text.
const LINE: usize = 1_024;

/// Prints one line on stdout at once, so that a pipe sees it when it happens.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::terminal::print_line(format_args!($($argument)*))
    };
}
pub(crate) use say;

/// Prints one line on stderr, for the person rather than for a script.
macro_rules! hint {
    ($($argument:tt)*) => {
        $crate::terminal::print_hint(format_args!($($argument)*))
    };
}
pub(crate) use hint;

/// What [`hint!`] does. Where nobody can read it there is nobody to tell that either.
pub(crate) fn print_hint(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "av: {line}");
}

/// What [`say!`] does: in one piece, so that a reader who is content with the beginning does not break the rest.
pub(crate) fn print_line(line: fmt::Arguments<'_>) -> io::Result<()> {
    // Wiped, since invites and the recovery key pass through here; with room enough never to be moved for them.
    let mut text = Zeroizing::new(String::with_capacity(LINE));
    writeln!(text, "{line}").map_err(io::Error::other)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// A text from elsewhere, with everything escaped that could move the cursor, change colours, or turn the direction
/// of writing around.
pub(crate) struct Escaped<'t>(pub(crate) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_harmless(character) {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        Ok(())
    }
}

fn is_harmless(character: char) -> bool {
    let is_separator = matches!(character, '\u{2028}' | '\u{2029}');
    // Marks, embeddings, overrides and isolates of the bidirectional algorithm, and what is not shown at all.
    let is_invisible = matches!(character,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !(character.is_control() || is_separator || is_invisible)
}

/// Whether a person can be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks a question whose answer is no unless it is `y` or `yes`.
///
/// Cancel safe: whoever stops waiting may leave; the read itself goes on until there is a line.
pub(crate) async fn confirm(question: String) -> io::Result<bool> {
    // Reading blocks, and Ctrl-C has to be noticed meanwhile.
    let asking = tokio::task::spawn_blocking(move || {
        let mut stdout = io::stdout().lock();
        write!(stdout, "{question} [y/N] ")?;
        stdout.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    });
    asking.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
