//! Keys, as terminals tell them.

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Interrupt,
}

/// The keys in what a terminal sent at once; what is not known is passed over.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut keys = Vec::new();
    while let Some(first) = rest.chars().next() {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(start, _)| rest.starts_with(start)) {
            keys.push(*key);
            rest = &rest[sequence.len()..];
            continue;
        }
        if let Some(behind) = rest.strip_prefix("\x1b[").or_else(|| rest.strip_prefix("\x1bO")) {
            // A sequence ends with a letter or a tilde.
            let end = behind.find(|c: char| c.is_ascii_alphabetic() || c == '~');
            rest = end.map_or("", |end| &behind[end + 1..]);
            continue;
        }
        rest = &rest[first.len_utf8()..];
        match first {
            '\x1b' => keys.push(Key::Escape),
            '\r' | '\n' => keys.push(Key::Enter),
            '\x7f' | '\x08' => keys.push(Key::Backspace),
            '\x03' | '\x04' => keys.push(Key::Interrupt),
            other if !other.is_control() => keys.push(Key::Char(other)),
            _ => {}
        }
    }
    keys
}

const SEQUENCES: [(&str, Key); 12] = [
    ("\x1b[A", Key::Up),
    ("\x1bOA", Key::Up),
    ("\x1b[B", Key::Down),
    ("\x1bOB", Key::Down),
    ("\x1b[5~", Key::PageUp),
    ("\x1b[6~", Key::PageDown),
    ("\x1b[H", Key::Home),
    ("\x1bOH", Key::Home),
    ("\x1b[1~", Key::Home),
    ("\x1b[F", Key::End),
    ("\x1bOF", Key::End),
    ("\x1b[4~", Key::End),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(keys(b"\x1b[Aq\x1b"), [Key::Up, Key::Char('q'), Key::Escape]);
        assert_eq!(keys(b"/c1\r\x7f\x03"), {
            let word = ['/', 'c', '1'].map(Key::Char);
            [word[0], word[1], word[2], Key::Enter, Key::Backspace, Key::Interrupt]
        });
        assert_eq!(keys("\x1b[1;5Cä\x1b[5~".as_bytes()), [Key::Char('ä'), Key::PageUp]);
        assert_eq!(keys(b"\x1b["), []);
    }
}
