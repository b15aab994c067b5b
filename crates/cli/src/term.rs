//! Colours, small texts, and foreign texts made fit for a terminal. anstream drops the colours where there is no terminal or NO_COLOR is set.

use anstyle::{AnsiColor, Style};
use std::borrow::Cow;

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const RED: Style = AnsiColor::Red.on_default().bold();
pub const GREEN: Style = AnsiColor::Green.on_default();
pub const YELLOW: Style = AnsiColor::Yellow.on_default();

/// The text in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// Milliseconds as minutes and seconds, with hours where there are any.
pub fn clock(ms: i64) -> String {
    let s = ms / 1000;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

/// A text that others wrote, such as a file's name, as one line that a terminal prints and does not obey: control characters
/// and marks that change the direction of writing are spelled out.
pub fn one_line(text: &str) -> Cow<'_, str> {
    spelled_out(text, |c| is_command(c) || c == '\n')
}

/// The same for texts of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    spelled_out(text, |c| is_command(c) && c != '\n')
}

fn is_command(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn spelled_out(text: &str, wanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&wanted) {
        return Cow::Borrowed(text);
    }
    let spell = |c: char| if wanted(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(spell).collect())
}

/// A word of a command line as a shell takes it; none where no shell can.
pub fn quoted(word: &str) -> Option<String> {
    if is_plain(word) { shlex::try_quote(word).ok().map(Cow::into_owned) } else { None }
}

fn is_plain(word: &str) -> bool {
    !word.chars().any(is_command)
}

/// Columns of the terminal, within reason.
pub fn width() -> usize {
    textwrap::termwidth().clamp(60, 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_command_no_terminal() {
        for (text, wanted) in [
            ("8812", "8812"),
            ("\u{1b}[2J8812", "\\u{1b}[2J8812"),
            ("a\rb", "a\\rb"),
            ("a\u{9b}31m", "a\\u{9b}31m"),
            ("abc\u{202e}vaw.exe", "abc\\u{202e}vaw.exe"),
            ("Müller\nMaier\t7", "Müller\\nMaier\\t7"),
        ] {
            assert_eq!(one_line(text), wanted);
        }
        assert_eq!(lines("one\ntwo\u{7}"), "one\ntwo\\u{7}");
    }

    #[test]
    fn words_for_a_shell() {
        for (word, wanted) in [
            ("8812", Some("8812")),
            ("a b", Some("'a b'")),
            ("it's", Some("\"it's\"")),
            ("$HOME", Some("'$HOME'")),
            ("Müller (2)", Some("'Müller (2)'")),
            ("", Some("''")),
            ("a\u{1b}b", None),
        ] {
            assert_eq!(quoted(word).as_deref(), wanted, "{word}");
        }
    }
}
