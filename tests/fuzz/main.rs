//! The fuzz targets without a fuzzer: every committed seed, and mutations of them that are the
//! same in every run. [fuzz/README.md](../../fuzz/README.md) says how to search for more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../fuzz/bodies/mod.rs"]
pub mod bodies;

mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;

/// Mutations of one target, if there is time for all of them.
const MUTATIONS: u64 = 4000;
const TIME: Duration = Duration::from_secs(2);
/// What libFuzzer adds to a corpus has names of so many digits; only seeds are run here.
const SHA1_DIGITS: usize = 40;

macro_rules! targets {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                check(stringify!($name), bodies::$name::run);
            }
        )*
    };
}

targets!(config cursor filters frames graphql handshake inflate json messages sdl session);

#[test]
fn every_target_is_tested() {
    let mut targets: Vec<String> = names(&fuzz().join("targets"));
    targets.sort();
    let expected: Vec<String> = NAMES.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(targets, expected);
}

/// Runs a target's seeds, and mutations of them.
fn check(name: &str, run: fn(&[u8])) {
    let seeds = seeds(name);
    assert!(seeds.len() >= 10, "only {} seeds in fuzz/corpus/{name}", seeds.len());
    for (seed, input) in &seeds {
        watched(name, &format!("seed {seed}"), input, run);
    }
    let inputs: Vec<Vec<u8>> = seeds.into_iter().map(|(_, input)| input).collect();
    let words = dictionary(name);
    let began = Instant::now();
    for number in 0..MUTATIONS {
        let input = Mutator::new(number).mutate(&inputs, &words);
        watched(name, &format!("mutation {number}"), &input, run);
        if began.elapsed() > TIME {
            break;
        }
    }
}

/// Runs one input; if that panics, keeps it where a person finds it.
fn watched(name: &str, what: &str, input: &[u8], run: fn(&[u8])) {
    struct Watch<'a>(&'a str, &'a str, &'a [u8]);
    impl Drop for Watch<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let &mut Self(name, what, input) = self;
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
                let kept = fs::write(&file, input).map(|()| file.display().to_string());
                eprintln!("{name}, {what}, kept as {kept:?}:\n{}", input.escape_ascii());
            }
        }
    }
    let _watch = Watch(name, what, input);
    run(input);
}

/// The committed seeds of a target, by name.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(name);
    let mut names = names(&folder);
    names.retain(|name| name.len() != SHA1_DIGITS);
    names.sort();
    let read = |seed: String| {
        let input = fs::read(folder.join(&seed)).unwrap();
        (seed, input)
    };
    names.into_iter().map(read).collect()
}

/// The words of a target's dictionary, if it has one.
fn dictionary(name: &str) -> Vec<Vec<u8>> {
    let file = fuzz().join("dictionaries").join(format!("{name}.dict"));
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| mutate::word(line).unwrap_or_else(|| panic!("{name}.dict: {line}"))).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}
