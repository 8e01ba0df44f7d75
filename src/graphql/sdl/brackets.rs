//! Brackets of a text that nothing closes.

/// A bracket and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bracket {
    /// Its byte.
    pub(super) offset: usize,
    /// `{`, `(` or `[`.
    pub(super) open: char,
}

impl Bracket {
    /// What would close it.
    pub(super) fn close(self) -> char {
        match self.open {
            '{' => '}',
            '(' => ')',
            _ => ']',
        }
    }
}

/// The brackets that are open at the end of a text, the innermost last.
pub(super) fn unclosed(text: &str) -> Vec<Bracket> {
    let mut open: Vec<Bracket> = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let offset = text.len() - rest.len();
        match character {
            '{' | '(' | '[' => open.push(Bracket { offset, open: character }),
            '}' | ')' | ']' => {
                if let Some(at) = open.iter().rposition(|bracket| bracket.close() == character) {
                    open.truncate(at);
                }
            }
            _ => {}
        }
        rest = &rest[skipped(rest, character)..];
    }
    open
}

/// The length of what begins here: a string, a comment, or one character.
fn skipped(rest: &str, first: char) -> usize {
    if let Some(text) = rest.strip_prefix("\"\"\"") {
        let end = text.match_indices("\"\"\"").find(|(at, _)| !rest[..at + 3].ends_with('\\'));
        return end.map_or(rest.len(), |(at, _)| at + 6);
    }
    match first {
        '#' => rest.find('\n').unwrap_or(rest.len()),
        '"' => string(rest),
        _ => first.len_utf8(),
    }
}

/// A string ends with its quote, and at the latest with its line.
fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return at,
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = character == '\\' && !is_escaped,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_are_none() {
        let table = [
            ("{ a(b: [1]) }", vec![]),
            ("{ a(", vec!['{', '(']),
            ("{ ( }", vec![]),
            ("} {", vec!['{']),
            ("\"{\" # (\n[", vec!['[']),
            ("\"\\\"{\" \"\"\" \" { \\\"\"\" ( \"\"\" {", vec!['{']),
            ("\"{\n(", vec!['(']),
            ("\"\"\"{", vec![]),
            ("\"{", vec![]),
        ];
        for (text, expected) in table {
            let open: Vec<char> = unclosed(text).iter().map(|bracket| bracket.open).collect();
            assert_eq!(open, expected, "{text}");
        }
    }
}
