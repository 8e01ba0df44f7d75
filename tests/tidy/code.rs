//! Rust as far as the rules need it: text without comments and literals, the paths and functions
//! in it. It knows no rule.

/// Rust with its comments and literals blanked out, line for line.
pub(crate) fn of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = blank_length(&chars, at);
        if length == 0 {
            code.push(chars[at]);
        }
        let blank = &chars[at..at + length];
        code.extend(blank.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at += length.max(1);
    }
    code
}

/// How long the comment or literal is that begins here; 0 if none does.
fn blank_length(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let in_word = at > 0 && is_word(chars[at - 1]) && chars[at - 1] != 'b';
    match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => past(rest, 2, &['*', '/']),
        ['r', '"' | '#', ..] if !in_word => raw_length(rest),
        ['"', ..] => quoted_length(rest, '"'),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted_length(rest, '\''),
        _ => 0,
    }
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut close = vec!['#'; hashes + 1];
    close[0] = '"';
    past(rest, hashes + 2, &close)
}

fn past(rest: &[char], from: usize, close: &[char]) -> usize {
    let found = rest[from..].windows(close.len()).position(|window| window == close);
    found.map_or(rest.len(), |at| from + at + close.len())
}

/// Blanks what stands under `#[cfg(test)]`: tests may use a clock where the code may not.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let lines = lines_to_end(&rest[at..]).unwrap_or(1);
        let length: usize = rest[at..].split_inclusive('\n').take(lines).map(str::len).sum();
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..at + length].matches('\n'));
        rest = &rest[at + length..];
    }
    kept + rest
}

/// The first name of every path from the root of the crate, with its line. `super::` counts where
/// `is_folder` knows the name behind it.
pub(crate) fn crate_paths(code: &str, is_folder: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|before| is_word(before) || before == '$') {
                continue;
            }
            let after = at + start.len();
            for (offset, name) in first_names(&code[after..]) {
                if start == "crate::" || is_folder(&name) {
                    paths.push((line_at(code, after + offset), name));
                }
            }
        }
    }
    paths
}

/// The first name of a path, or the first one of each path in a group.
fn first_names(code: &str) -> Vec<(usize, String)> {
    let name = |at: usize| code[at..].chars().take_while(|c| is_word(*c)).collect::<String>();
    if !code.starts_with('{') {
        return vec![(0, name(0))];
    }
    let (mut depth, mut is_expected, mut names) = (0, false, Vec::new());
    for (at, found) in code.char_indices() {
        match found {
            '{' => (depth, is_expected) = (depth + 1, depth == 0),
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => is_expected = depth == 1,
            _ if is_expected && is_word(found) => {
                names.push((at, name(at)));
                is_expected = false;
            }
            _ => {}
        }
    }
    names
}

/// The line on which each function begins, and how many lines it takes.
pub(crate) fn functions(code: &str) -> Vec<(usize, usize)> {
    let starts = code.match_indices("fn ").map(|(at, _)| at);
    let starts = starts.filter(|at| !code[..*at].ends_with(is_word));
    starts.filter_map(|at| Some((line_at(code, at), lines_to_end(&code[at..])?))).collect()
}

/// The lines up to the brace that closes the first one opened; none if `;` comes first.
fn lines_to_end(code: &str) -> Option<usize> {
    let (mut braces, mut others) = (0, 0);
    for (at, found) in code.char_indices() {
        match found {
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            '{' => braces += 1,
            ';' if braces == 0 && others == 0 => return None,
            '}' if braces == 1 => return Some(line_at(code, at)),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_word(found: char) -> bool {
    found.is_alphanumeric() || found == '_'
}
