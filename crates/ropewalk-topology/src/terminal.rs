//! Names as they may be shown on a terminal.
//!
//! What comes from a kernel is chosen by containers: none of it may move a cursor, change a colour
//! or the direction of writing, or begin a line.

use alloc::borrow::Cow;

/// Stands where something was that is not shown.
const HIDDEN: char = '?';

/// Whether a letter does nothing on a terminal but stand there.
pub fn is_shown(letter: char) -> bool {
    let turns = matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !turns && !letter.is_control()
}

/// A text in one line, without what is not shown.
pub fn line(text: &str) -> Cow<'_, str> {
    without(text, is_shown)
}

/// A text without what is not shown but for its lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    without(text, |letter| letter == '\n' || is_shown(letter))
}

fn without(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return text.into();
    }
    text.chars().map(|letter| if stays(letter) { letter } else { HIDDEN }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_a_terminal_obeys() {
        assert_eq!(line("veth0 ⇄ ä"), "veth0 ⇄ ä");
        assert_eq!(line("a\u{1b}[2J\n\u{9b}\u{7f}\u{202e}b"), "a?[2J????b");
        assert_eq!(lines("a\u{1b}\nb\r\n"), "a?\nb?\n");
    }
}
