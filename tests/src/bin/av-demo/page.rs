//! The demo's page: two columns, what a person sees and what the relay stored.

use std::io::{self, IsTerminal, Write};

use av_tests::Outcome;

/// Characters of the left column: a fingerprint behind its label fits.
const LEFT: usize = 64;
/// Characters of the right column.
const RIGHT: usize = 44;

/// How a cell is shown on a terminal.
#[derive(Clone, Copy)]
enum Style {
    Heading,
    Command,
    Plain,
    Relay,
}

impl Style {
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Heading => ("\x1b[1m", "\x1b[0m"),
            Self::Command => ("\x1b[36m", "\x1b[0m"),
            Self::Relay => ("\x1b[33m", "\x1b[0m"),
            Self::Plain => ("", ""),
        }
    }
}

/// Where the demo tells its story.
pub(crate) struct Page {
    out: io::Stdout,
    colour: bool,
}

impl Page {
    /// The process's stdout: colour on a terminal whose user did not decline it (<https://no-color.org>).
    pub(crate) fn stdout() -> Self {
        let out = io::stdout();
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = out.is_terminal() && !declined;
        Self { out, colour }
    }

    /// Begins an act.
    pub(crate) fn act(&mut self, number: u8, title: &str) -> Outcome {
        self.line("")?;
        self.full(Style::Heading, &format!("Act {number}. {title}"))?;
        self.row(Style::Heading, "what the owner or agent sees", "what the relay stored")?;
        self.line(&format!("{}┼{}", "─".repeat(LEFT + 1), "─".repeat(RIGHT + 1)))
    }

    /// A sentence across both columns.
    pub(crate) fn tell(&mut self, text: &str) -> Outcome {
        wrap(text, LEFT + 3 + RIGHT).iter().try_for_each(|line| self.full(Style::Plain, line))
    }

    /// A heading across both columns.
    pub(crate) fn heading(&mut self, text: &str) -> Outcome {
        self.full(Style::Heading, text)
    }

    /// A command and what it printed, beside what the relay stored of it.
    pub(crate) fn command<L: AsRef<str>, R: AsRef<str>>(
        &mut self,
        command: &str,
        output: &[L],
        stored: &[R],
    ) -> Outcome {
        let mut left: Vec<(Style, String)> =
            wrap(command, LEFT).into_iter().map(|line| (Style::Command, line)).collect();
        for line in output {
            left.extend(wrap(line.as_ref(), LEFT).into_iter().map(|line| (Style::Plain, line)));
        }
        let right: Vec<String> = stored.iter().flat_map(|line| wrap(line.as_ref(), RIGHT)).collect();
        for index in 0..left.len().max(right.len()) {
            let (style, left) = left.get(index).map_or((Style::Plain, ""), |(style, line)| (*style, line));
            self.row(style, left, right.get(index).map_or("", String::as_str))?;
        }
        Ok(())
    }

    fn row(&mut self, style: Style, left: &str, right: &str) -> Outcome {
        let gap = " ".repeat(LEFT.saturating_sub(left.chars().count()));
        let left = self.styled(style, left);
        let right = self.styled(if matches!(style, Style::Heading) { style } else { Style::Relay }, right);
        self.line(format!("{left}{gap} │ {right}").trim_end())
    }

    fn full(&mut self, style: Style, text: &str) -> Outcome {
        let text = self.styled(style, text);
        self.line(&text)
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let (on, off) = if self.colour && !text.is_empty() { style.codes() } else { ("", "") };
        format!("{on}{text}{off}")
    }

    fn line(&mut self, text: &str) -> Outcome {
        writeln!(self.out, "{text}")?;
        // At once, so that a pipe sees the story as it happens.
        self.out.flush()?;
        Ok(())
    }
}

/// Breaks a text that is longer than `width` characters into lines: at blanks, and inside a word that is longer than
/// a line. Blanks at the beginning are kept on every line, so that an indented text stays indented.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let indent: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut lines = Vec::new();
    let mut line = indent.clone();
    for word in text.split_whitespace() {
        let mut rest = word;
        loop {
            let blank = usize::from(line.len() > indent.len());
            let room = width.saturating_sub(line.chars().count() + blank);
            if rest.chars().count() <= room {
                line.extend(std::iter::repeat_n(' ', blank).chain(rest.chars()));
                break;
            }
            if blank == 0 {
                // The word alone is too long: a piece of it fills this line.
                let cut = rest.char_indices().nth(room.max(1)).map_or(rest.len(), |(index, _)| index);
                let (piece, tail) = rest.split_at(cut);
                line.push_str(piece);
                rest = tail;
            }
            lines.push(std::mem::replace(&mut line, indent.clone()));
        }
    }
    if line.len() > indent.len() {
        lines.push(line);
    }
    lines
}

/// A conversation: what was typed, that it was sent, what came. The relay's word and the peer's answer come by
/// different ways, in either order; here they have one.
pub(crate) fn conversation(typed: &[&str], printed: &str) -> Vec<String> {
    let (sent, came): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| *line == "(sent)");
    let typed = typed.iter().map(|line| format!("> {line}"));
    typed.chain([sent, came].concat().into_iter().map(str::to_owned)).collect()
}

/// A long text's beginning and end.
pub(crate) fn shorten(text: &str, head: usize, tail: usize) -> String {
    let length = text.chars().count();
    if length <= head + tail + 1 {
        return text.to_owned();
    }
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
