//! A Rust source file with code and comments told apart.
//!
//! It knows just enough of the language for that: comments, strings and characters. Everything
//! else it leaves to the compiler.

/// A file of Rust source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// The text with comments and the content of strings blanked, line for line.
    pub(crate) code: String,
    /// The text with everything but comments blanked, line for line.
    pub(crate) comments: String,
}

/// What a stretch of text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut source =
            Self { path: path.into(), code: String::new(), comments: String::new(), text };
        let mut rest = source.text.as_str();
        let mut after_word = false;
        while !rest.is_empty() {
            let (part, length) = next_part(rest, after_word);
            let (piece, others) = rest.split_at(length);
            source.code += &if part == Part::Code { piece.to_owned() } else { blank(piece) };
            source.comments += &if part == Part::Comment { piece.to_owned() } else { blank(piece) };
            after_word = piece.ends_with(is_word);
            rest = others;
        }
        source
    }

    /// Whether the whole file is for tests.
    pub(crate) fn is_test(&self) -> bool {
        let path = &self.path;
        path.starts_with("e2e/") || path.contains("/tests/") || path.ends_with("/tests.rs")
    }

    /// The lines of code that the product is built from, with their numbers. Tests at the end of a
    /// file are left out.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { self.tests_start() };
        numbered(&self.code).take(end)
    }

    /// The lines of code that only tests run, with their numbers.
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let start = if self.is_test() { 0 } else { self.tests_start() };
        numbered(&self.code).skip(start)
    }

    /// How many lines come before the tests of a file.
    fn tests_start(&self) -> usize {
        let lines = self.code.lines();
        let before = lines.take_while(|line| line.trim_start() != "#[cfg(test)]").count();
        before.min(self.code.lines().count())
    }
}

/// Lines with their numbers, which start at 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether a line has a word that stands by itself.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        !line[..start].ends_with(is_word) && !line[start + word.len()..].starts_with(is_word)
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn blank(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

/// What comes first in a text, and how many bytes of it. An `r` that ends a word starts no string.
fn next_part(text: &str, after_word: bool) -> (Part, usize) {
    let until_line_end = || text.find('\n').unwrap_or(text.len());
    match text.as_bytes() {
        [b'/', b'/', ..] => (Part::Comment, until_line_end()),
        [b'/', b'*', ..] => (Part::Comment, block_comment(text)),
        [b'"', ..] => (Part::Literal, string(text)),
        [b'\'', ..] => character(text).map_or((Part::Code, 1), |length| (Part::Literal, length)),
        [b'r' | b'b' | b'c', ..] if !after_word => {
            raw_string(text).map_or((Part::Code, 1), |length| (Part::Literal, length))
        }
        _ => (Part::Code, text.chars().next().map_or(1, char::len_utf8)),
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let rest = &text[1..];
    if let Some(escaped) = rest.strip_prefix('\\') {
        let first = escaped.chars().next()?.len_utf8();
        return escaped[first..].find('\'').map(|end| 2 + first + end + 1);
    }
    let length = rest.chars().next()?.len_utf8();
    rest[length..].starts_with('\'').then_some(length + 2)
}

/// A string behind `r`, `br` or `cr` and any number of `#`.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let content = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let before = text.len() - content.len();
    Some(content.find(&end).map_or(text.len(), |at| before + at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let text = [
            "let a = \"un//safe\"; // why \"not\"",
            "let b = r#\"say \"unsafe\"\"#; /* a /* nested */ one */ let c = 'x';",
            "fn longer<'a>(text: &'a str) -> char { '\\'' } // end",
        ]
        .join("\n");
        let source = Source::new("src/a.rs", text);
        let code: Vec<&str> = source.code.lines().map(str::trim_end).collect();
        assert_eq!(code[0], "let a =           ;");
        let words: Vec<&str> = code[1].split_whitespace().collect();
        assert_eq!(words.join(" "), "let b = ; let c = ;");
        assert_eq!(code[2], "fn longer<'a>(text: &'a str) -> char {      }");
        let comments: Vec<&str> = source.comments.lines().map(str::trim).collect();
        assert_eq!(comments, ["// why \"not\"", "/* a /* nested */ one */", "// end"]);
        assert_eq!(source.code.len(), source.text.len());
    }

    #[test]
    fn broken_source_ends_nowhere_outside() {
        for text in ["\"open", "\"\\", "'", "'\\", "r#\"open", "/* open /*", "b", "r##"] {
            let source = Source::new("a.rs", text);
            assert_eq!(source.code.len(), text.len(), "{text}");
        }
    }

    #[test]
    fn tests_at_the_end_are_no_product() {
        let source = Source::new("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(source.product_lines().count(), 1);
        assert_eq!(source.test_lines().next(), Some((2, "#[cfg(test)]")));
        let whole = Source::new("e2e/src/lab.rs", "fn a() {}\n");
        assert_eq!(whole.product_lines().count(), 0);
        assert_eq!(whole.test_lines().count(), 1);
    }

    #[test]
    fn words_stand_by_themselves() {
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(has_word("use std::fs;", "fs"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(!has_word("offset", "fs"));
    }
}
