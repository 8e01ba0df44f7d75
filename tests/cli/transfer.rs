//! What one broker keeps goes to a file, and from there to another broker.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::broker::Broker;
use super::{run, run_with_input, text, tidings};

/// What an export of it would be, but for cursors and times.
const LINES: &str = concat!(
    r#"{"topic":"doc.a","cursor":"x-1","key":"doc.a","headers":null,"snapshot":true,"#,
    r#""payload":{"whole":[1.10,12345678901234567890123]}}"#,
    "\n",
    r#"{"topic":"quotes.A","cursor":"x-2","key":"k","headers":{"b":"1","a":"ü\n"},"#,
    r#""payload":"\u00fc"}"#,
    "\n\n",
    r#"{"topic":"doc.a","cursor":"x-3","key":"doc.a","payload":[2],"snapshot":false}"#,
    "\n",
    r#"{"topic":"doc.a","cursor":"x-4","payload":3}"#,
);

fn export(broker: &Broker, arguments: &[&str]) -> (Vec<Value>, String) {
    let all: Vec<&str> =
        ["export", "--url", &broker.url].iter().chain(arguments).copied().collect();
    let output = run(&all);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let lines = text(&output.stdout);
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), errors)
}

fn import(broker: &Broker, arguments: &[&str], lines: &str) -> (Option<i32>, String) {
    let all: Vec<&str> =
        ["import", "--url", &broker.url].iter().chain(arguments).copied().collect();
    let output = run_with_input(&all, lines);
    assert_eq!(text(&output.stdout), "");
    (output.status.code(), text(&output.stderr))
}

fn without_places(lines: &[Value]) -> Vec<Value> {
    let strip = |line: &Value| {
        let mut line = line.clone();
        let members = line.as_object_mut().unwrap();
        members.remove("cursor").unwrap();
        members.remove("publishedAt").unwrap();
        line
    };
    lines.iter().map(strip).collect()
}

#[test]
fn what_was_exported_is_imported_once() {
    let (first, second) = (Broker::start(), Broker::start());
    let (code, said) = import(&first, &[], LINES);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("imported 4 messages, 1 of them snapshots, in "), "{said}");
    assert!(said.ends_with("; 0 were there already\n"), "{said}");
    let (lines, said) = export(&first, &[]);
    assert!(said.starts_with("exported 4 messages, 1 of them snapshots, in "), "{said}");
    let topics: Vec<&str> = lines.iter().map(|line| line["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["doc.a", "quotes.A", "doc.a", "doc.a"], "in the order of the log");
    let exact = text(&run(&["export", "--url", &first.url]).stdout);
    for part in [
        r#""payload":{"whole":[1.10,12345678901234567890123]},"snapshot":true}"#,
        r#""headers":{"b":"1","a":"ü\n"},"#,
    ] {
        assert!(exact.contains(part), "{exact}");
    }
    assert_eq!((&lines[1]["key"], &lines[2]["key"]), (&"k".into(), &"doc.a".into()));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.ndjson");
    let file = file.to_str().unwrap();
    std::fs::write(file, "older").unwrap();
    assert!(export(&first, &["--output", file]).0.is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let (code, said) = import(&second, &[file], "");
    assert_eq!(code, Some(0), "{said}");
    // Once more, and nothing is there twice.
    let (code, said) = import(&second, &[file], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("imported 0 messages, 1 of them snapshots"), "{said}");
    assert!(said.ends_with("; 4 were there already\n"), "{said}");
    let (again, _) = export(&second, &[]);
    assert_eq!(without_places(&again), without_places(&lines));
    let (some, _) = export(&second, &["quotes.*", "nowhere"]);
    assert_eq!(some, again[1..2]);
    let (none, said) = export(&second, &["nowhere"]);
    assert!(none.is_empty() && said.starts_with("exported 0 messages"), "{said}");
}

#[test]
fn topics_that_keep_messages_are_not_mixed_up() {
    let broker = Broker::start();
    run(&["pub", "quotes.A", "0", "--url", &broker.url]);
    let (code, said) = import(&broker, &[], LINES);
    assert_eq!(code, Some(1));
    let expected = "tidings: line 2: its topic keeps messages already; purge it, or add to what \
                    it keeps with --append\n";
    assert!(said.ends_with(expected), "{said}");
    let (code, said) = import(&broker, &["--append"], LINES);
    assert_eq!(code, Some(0), "{said}");
    let (lines, _) = export(&broker, &["quotes.A"]);
    assert_eq!(lines.len(), 2);
    // A snapshot would take the place of what is there.
    let line = r#"{"topic":"quotes.A","payload":1,"snapshot":true}"#;
    for arguments in [&[][..], &["--append"]] {
        let (code, said) = import(&broker, arguments, line);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("line 1: its topic keeps messages already"), "{said}");
    }
    let after_another = format!("{}\n{line}", line.replace("true", "false"));
    let (code, said) = import(&broker, &["--append"], &after_another);
    assert!(code == Some(1) && said.contains("line 2: a snapshot would replace"), "{said}");
}

#[test]
fn a_bad_line_is_named() {
    let broker = Broker::start();
    let bad = format!("{LINES}\n{}\n", r#"{"topic":"a..b","payload":1}"#);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    std::fs::write(&file, &bad).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&[file][..], &["--dry-run", file]] {
        let (code, said) = import(&broker, arguments, "");
        assert_eq!(code, Some(1));
        assert!(said.starts_with("tidings: line 6: "), "{said}");
    }
    assert!(export(&broker, &[]).0.is_empty(), "a file is read before anything is published");
    let (code, said) = import(&broker, &["--dry-run"], LINES);
    let counted = "4 messages, 1 of them snapshots, of 2 topics: nothing was published\n";
    assert_eq!((code, &*said), (Some(0), counted));
    let (code, said) = import(&broker, &[], &bad);
    assert!(code == Some(1) && said.contains("tidings: line 6: "), "{said}");
    // What the broker refuses has its line as well.
    let (code, said) = import(&broker, &[], r#"{"topic":"$x","payload":1}"#);
    assert!(code == Some(1) && said.contains("line 1: "), "{said}");
    let (code, said) = import(&broker, &["no/such/file"], "");
    assert!(code == Some(1) && said.starts_with("tidings: no/such/file: "), "{said}");
}

#[test]
fn an_export_goes_on_with_what_is_left_where_messages_go_meanwhile() {
    let broker = Broker::start_keeping("keep.last=4000");
    let publish = |topic: &str, numbers: std::ops::Range<u32>| {
        let lines: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let arguments = ["pub", topic, "--ndjson", "--url", &broker.url];
        let output = run_with_input(&arguments, &lines.join("\n"));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    };
    publish("busy", 0..4000);
    publish("quiet", 0..2500);
    let mut child = tidings(&["export", "--url", &broker.url]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first page does not fit into the pipe: until more of it is read there is no second one.
    let mut exported = vec![lines.next().unwrap().unwrap()];
    publish("busy", 4000..8000);
    exported.extend(lines.map(Result::unwrap));
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let mut child = tidings(&["export", "--url", &broker.url]).spawn().unwrap();
    drop(child.stdout.take());
    let closed = child.wait_with_output().unwrap();
    assert_eq!((closed.status.code(), &*text(&closed.stderr)), (Some(0), ""));
    assert!(said.contains("the broker forgot messages"), "{said}");
    let of = |topic: &str| -> Vec<u64> {
        let lines = exported.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_topic = lines.filter(|line| line["topic"] == topic);
        of_topic.map(|line| line["payload"].as_u64().unwrap()).collect()
    };
    assert!(of("quiet").into_iter().eq(0..2500));
    assert!(of("busy").into_iter().eq((0..1000).chain(4000..8000)));
}
