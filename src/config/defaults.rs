//! The table of keys as a `tidings.toml` that says what every key is for.

use super::keys::KEYS;

const HEAD: &str = "\
# tidings.toml: every key with its default. Leave out what you do not change.
# A key has a variable too (limits.init_timeout is TIDINGS_LIMITS_INIT_TIMEOUT) and can be given
# as --set limits.init_timeout=1s; a flag beats a variable, and that beats this file.
# Durations are written \"250ms\", \"10s\", \"10m\", \"2h\"; sizes 65536, \"64KiB\", \"1MiB\".
";

const TOPICS: &str = "\
# Rules for topics, the first that matches holds. Any number of:
# [[topics]]
# match = \"quotes.*\"             # a filter
# keep = {last = 1}              # how much of each topic: last, age, bytes; what is left out
#                                # does not limit; without `keep`, as [keep] says
# overflow = \"CONFLATE\"          # for slow subscribers: DISCONNECT, DROP_OLDEST or CONFLATE
# presence = true                # false: `join` is refused
";

/// The configuration as shipped, each key with what it is for.
pub fn text() -> String {
    let mut lines: Vec<String> = vec![HEAD.to_owned()];
    let mut current = "";
    for key in KEYS {
        let Some((section, name)) = key.name.split_once('.') else { continue };
        if section != current {
            lines.push(format!("\n[{section}]\n"));
            current = section;
        }
        lines.extend(key.doc.lines().map(|line| format!("# {line}\n")));
        lines.push(format!("{name} = {}\n", key.default_toml()));
    }
    lines.push(format!("\n{TOPICS}"));
    lines.concat()
}
