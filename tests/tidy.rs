//! What holds for the text of the project, and no compiler checks: which folder may import which,
//! how long things may be, which words are not used, what stays pure, that links lead somewhere.
//!
//! A rule is a function from one file to its faults; `every_rule_can_fail` shows each of them a
//! text that breaks it.

#[path = "tidy/code.rs"]
mod code;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder imports only from rows below its own; the top row of the design has an order itself.
const ROWS: [&[&str]; 9] = [
    &["cli"],
    &["telemetry"],
    &["config"],
    &["server"],
    &["connection"],
    &["graphql"],
    &["broker"],
    &["engine", "auth", "protocol", "websocket", "plan"],
    &["message"],
];
const PURE_FOLDERS: [&str; 4] = ["message", "plan", "protocol", "websocket"];
const PURE_FILES: [&str; 7] =
    ["outbox", "catch_up", "conflate", "retention", "permission", "routes", "trie"];
const IMPURE: [&str; 7] =
    ["async", "tokio", "Instant::now", "SystemTime", "Timestamp::now", "rand", "getrandom"];
const VAGUE_NAMES: [&str; 5] = ["utils", "helpers", "common", "misc", "manager"];
/// Written in two parts, so that this file passes its own rule.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
const WRITTEN_BY_HAND: [&str; 7] = ["rs", "js", "mjs", "ts", "css", "html", "py"];
const SKIPPED_FOLDERS: [&str; 4] = ["target", "node_modules", "venv", "__pycache__"];

type Rule = fn(&Source) -> Vec<Fault>;

#[test]
fn folders_import_only_from_rows_below() {
    hold(imports_go_down);
}

#[test]
fn files_functions_and_lines_are_short() {
    hold(files_are_short);
    hold(functions_are_short);
    hold(lines_are_short);
}

#[test]
fn words_are_chosen() {
    hold(names_say_something);
    hold(nothing_is_unfinished);
    hold(exceptions_are_expected);
    hold(legacy_is_the_older_protocol);
}

#[test]
fn pure_files_know_no_clock_and_no_runtime() {
    hold(purity);
}

#[test]
fn links_in_documents_lead_somewhere() {
    hold(links_lead_somewhere);
}

#[test]
fn dependencies_are_explained() {
    let reasons = read(Path::new("docs/dependencies.md"));
    let faults: Vec<String> = dependencies(&read(Path::new("Cargo.toml")))
        .into_iter()
        .filter(|name| !reasons.contains(&format!("`{name}`")))
        .map(|name| format!("docs/dependencies.md: no line says why `{name}` is needed"))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_rule_can_fail() {
    let long_file = "\n".repeat(FILE_LINES_MAX + 1);
    let long_function = format!("fn f() {{\n{}}}", "\n".repeat(FUNCTION_LINES_MAX));
    let long_line = "x".repeat(COLUMNS_MAX + 1);
    let unfinished = format!("ok\n// {}", UNFINISHED[0]);
    let table: [(Rule, &str, &str, usize); 18] = [
        (imports_go_down, "src/plan/x.rs", "\nuse crate::engine::Engine;", 2),
        (imports_go_down, "src/engine/x.rs", "use crate::{\n message::A,\n broker::{b, c},\n};", 3),
        (imports_go_down, "src/message/mod.rs", "use super::plan;", 1),
        (imports_go_down, "src/config.rs", "fn f() { crate::nothing::g() }", 1),
        (files_are_short, "src/x.rs", &long_file, 1),
        (functions_are_short, "src/x.rs", &long_function, 1),
        (lines_are_short, "web/x.js", &long_line, 1),
        (names_say_something, "src/broker/topic_utils.rs", "", 1),
        (lines_are_short, "web/yjs/src/x.ts", &long_line, 1),
        (nothing_is_unfinished, "web/x.css", &unfinished, 2),
        (exceptions_are_expected, "src/x.rs", "#![allow(dead_code)]", 1),
        (legacy_is_the_older_protocol, "src/broker/x.rs", "// the legacy format", 1),
        (purity, "src/plan/x.rs", "async fn f() {}", 1),
        (purity, "src/connection/outbox.rs", "let now = Instant::now();", 1),
        (purity, "src/message/x.rs", "#[cfg(test)]\nmod t {}\nuse tokio::time;", 3),
        (links_lead_somewhere, "x.md", "[a](https://x.y)\n[b](nowhere.md)", 2),
        (links_lead_somewhere, "src/x.md", "[a](../Cargo.toml)\n[b](gone/x.md#part)", 2),
        (links_lead_somewhere, "x.md", "```\n[a](b)\n```\n![a](c.png)", 4),
    ];
    for (rule, path, text, line) in table {
        let source = Source { path: path.into(), text: text.into() };
        let lines: Vec<usize> = rule(&source).iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [line], "{path}: {text}");
    }
}

#[test]
fn what_is_no_code_is_no_fault() {
    let text = "//! [`crate::broker`] and tokio\nconst A: &str = \"async crate::broker '\";\n\
                const B: &str = r#\"a \"tokio\" b\"#; const C: [char; 2] = ['\\'', '\"'];\n\
                fn f<'a>(rand_like: &'a str) {}\n\
                #[cfg(test)]\nmod tests {\n    fn g() { Instant::now(); }\n}\n";
    let source = Source { path: "src/plan/x.rs".into(), text: text.into() };
    assert!(imports_go_down(&source).is_empty() && purity(&source).is_empty());
}

/// A file of the project: its path from the root, and what stands in it.
struct Source {
    path: PathBuf,
    text: String,
}

struct Fault {
    file: PathBuf,
    line: usize,
    rule: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file.display(), self.line, self.rule)
    }
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// The folder or file directly under `src/` that this one belongs to.
    fn folder(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src").ok()?.components().next()?;
        Some(first.as_os_str().to_str()?.trim_end_matches(".rs"))
    }

    /// Declarations of TypeScript come out of compilers.
    fn written_by_hand(&self) -> bool {
        let is_declaration = self.stem().split('.').next_back() == Some("d");
        !is_declaration && WRITTEN_BY_HAND.iter().any(|extension| self.is(extension))
    }

    fn fault(&self, line: usize, rule: impl Into<String>) -> Fault {
        Fault { file: self.path.clone(), line, rule: rule.into() }
    }

    /// One fault for each line of a text that `broken` has something to say about.
    fn lines(&self, text: &str, broken: impl Fn(&str) -> Option<String>) -> Vec<Fault> {
        let lines = text.lines().zip(1..);
        lines.filter_map(|(text, line)| Some(self.fault(line, broken(text)?))).collect()
    }
}

fn imports_go_down(source: &Source) -> Vec<Fault> {
    let Some(own) = source.folder() else { return Vec::new() };
    let Some(own_row) = row_of(own) else { return Vec::new() };
    let mut faults = Vec::new();
    for (line, name) in code::crate_paths(&code::of(&source.text), |name| row_of(name).is_some()) {
        match row_of(&name) {
            None => faults.push(source.fault(line, format!("`{name}` is in no row of layers"))),
            Some(row) if name != own && row <= own_row => faults.push(
                source.fault(line, format!("`{own}` may not import `{name}`, which is not below")),
            ),
            Some(_) => {}
        }
    }
    faults
}

fn files_are_short(source: &Source) -> Vec<Fault> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX || !source.written_by_hand() {
        return Vec::new();
    }
    vec![source.fault(1, format!("{lines} lines, {FILE_LINES_MAX} are allowed"))]
}

fn functions_are_short(source: &Source) -> Vec<Fault> {
    if !source.is("rs") {
        return Vec::new();
    }
    let functions = code::functions(&code::of(&source.text));
    let long = functions.into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
    long.map(|(line, lines)| {
        source.fault(line, format!("a function of {lines} lines, {FUNCTION_LINES_MAX} are allowed"))
    })
    .collect()
}

fn lines_are_short(source: &Source) -> Vec<Fault> {
    if !source.written_by_hand() {
        return Vec::new();
    }
    source.lines(&source.text, |line| {
        let columns = line.chars().count();
        let is_long = columns > COLUMNS_MAX;
        is_long.then(|| format!("{columns} columns, {COLUMNS_MAX} are allowed"))
    })
}

fn names_say_something(source: &Source) -> Vec<Fault> {
    let path = source.path.to_string_lossy();
    let vague = path.split(['/', '_', '-', '.']).find(|part| VAGUE_NAMES.contains(part));
    vague.map(|word| source.fault(1, format!("`{word}` names nothing"))).into_iter().collect()
}

fn nothing_is_unfinished(source: &Source) -> Vec<Fault> {
    source.lines(&source.text, |line| {
        let word = UNFINISHED.iter().find(|word| code::has_word(line, word))?;
        Some(format!("`{word}`: do it, or write an issue"))
    })
}

fn exceptions_are_expected(source: &Source) -> Vec<Fault> {
    if !source.is("rs") {
        return Vec::new();
    }
    source.lines(&code::of(&source.text), |line| {
        let allows = line.contains("#[allow(") || line.contains("#![allow(");
        allows.then(|| "write #[expect(lint, reason = \"…\")], which ends with its cause".into())
    })
}

fn legacy_is_the_older_protocol(source: &Source) -> Vec<Fault> {
    let speaks_it = source.folder() == Some("protocol") || source.path.starts_with("tests");
    if !source.is("rs") || speaks_it {
        return Vec::new();
    }
    source.lines(&source.text, |line| {
        let rest = line.to_lowercase().replace("legacy_ws", "").replace("legacyws", "");
        let is_other = rest.contains("legacy") && !rest.contains("protocol");
        is_other.then(|| "`legacy` is only for the older protocol, graphql-ws".into())
    })
}

fn purity(source: &Source) -> Vec<Fault> {
    let Some(folder) = source.folder() else { return Vec::new() };
    let is_pure = PURE_FOLDERS.contains(&folder) || PURE_FILES.contains(&source.stem());
    let is_test = source.path.iter().any(|part| part == "tests") || source.stem() == "tests";
    if !is_pure || is_test {
        return Vec::new();
    }
    source.lines(&code::without_tests(&code::of(&source.text)), |line| {
        let word = IMPURE.iter().find(|word| code::has_word(line, word))?;
        Some(format!("`{word}` in a pure file: take bytes and `now`, return actions"))
    })
}

fn links_lead_somewhere(source: &Source) -> Vec<Fault> {
    if !source.is("md") {
        return Vec::new();
    }
    let folder = root().join(source.path.parent().unwrap_or(Path::new("")));
    source.lines(&without_code_blocks(&source.text), |line| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets.filter(|link| !link.contains(':') && !link.starts_with('#'));
        let mut files = local.map(|link| link.split('#').next().unwrap_or(link));
        let dead = files.find(|file| !folder.join(file).exists())?;
        Some(format!("the link to `{dead}` is dead"))
    })
}

fn without_code_blocks(text: &str) -> String {
    let mut is_inside = false;
    let lines = text.lines().map(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_inside ^= is_fence;
        if is_inside || is_fence { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn row_of(folder: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&folder))
}

fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap_or_else(|error| panic!("{error}"));
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// Fails with every fault that a rule finds in the project.
fn hold(rule: Rule) {
    let mut sources = Vec::new();
    collect(Path::new(""), &mut sources);
    assert!(sources.len() > 20, "only {} files found: the search is wrong", sources.len());
    let faults = sources.iter().flat_map(rule);
    let faults: Vec<String> = faults.map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every text file of a folder and of those in it; the folder is named from the root.
fn collect(folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(root().join(folder));
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let path = folder.join(&name);
        let name = name.to_string_lossy();
        if name.starts_with('.') || SKIPPED_FOLDERS.contains(&name.as_ref()) {
            continue;
        }
        if root().join(&path).is_dir() {
            collect(&path, sources);
        } else if let Ok(text) = fs::read_to_string(root().join(&path)) {
            sources.push(Source { path, text });
        }
    }
}
