//! The data folder: whose it is, and what is said when it is damaged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidings::engine::disk::{Disk, FolderError, Options, Sync};
use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Engine, Error, Limit, Publish, ReadFrom, Reply, Sink};
use tidings::message::cursor::{Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};

use crate::harness::broker::{Broker, program};
use crate::harness::random::Random;

struct Nobody;

impl Sink for Nobody {
    fn accepted(&self, _: &[Arc<Message>]) {}
}

fn open(folder: &Path, accept_loss: bool) -> Result<Arc<Disk>, FolderError> {
    open_with(folder, accept_loss, Sync::Always)
}

fn open_with(folder: &Path, accept_loss: bool, sync: Sync) -> Result<Arc<Disk>, FolderError> {
    static EPOCHS: AtomicI64 = AtomicI64::new(1);
    let options = Options {
        folder: folder.to_owned(),
        epoch: Epoch::new(EPOCHS.fetch_add(1, Ordering::Relaxed).cast_unsigned()),
        retention: Retention { rules: Vec::new(), default: Keep::EVERYTHING },
        bounds: Bounds {
            memory_bytes: 1 << 40,
            volatile_bytes: 1 << 40,
            idempotency_window: std::time::Duration::from_mins(1),
            idempotency_ids_max: 100_000,
        },
        clock: Arc::new(|| Timestamp::from_micros(1)),
        sync,
        free_bytes_min: 0,
        accept_loss,
    };
    Disk::open(options, Arc::new(Nobody))
}

fn wait<T: Unpin>(reply: Reply<T>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reply)
}

fn publish(number: usize, padding: usize) -> Publish {
    let payload = Json::parse(&format!("[{number},\"{}\"]", "x".repeat(padding))).unwrap();
    let topic = Topic::parse(&format!("t.{}", number % 7)).unwrap();
    let draft = Draft { topic, payload, key: None, headers: None };
    Publish { draft, id: Some(number.to_string().into()), if_last: None }
}

#[test]
fn after_a_power_loss_that_could_take_messages_cursors_of_before_are_expired() {
    for sync in [Sync::Interval(std::time::Duration::from_secs(1)), Sync::Never] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("boot");
        let open = |sync| open_with(folder.path(), false, sync).unwrap();
        let disk = open(sync);
        wait(disk.append(publish(1, 10))).unwrap();
        let (epoch, left) = (disk.epoch(), fs::read_to_string(&file).unwrap());
        drop(disk);
        assert!(!file.exists(), "a clean end");
        assert_eq!(open(sync).epoch(), epoch);
        fs::write(&file, &left).unwrap();
        assert_eq!(open(sync).epoch(), epoch, "killed under the same boot");
        fs::write(&file, "another boot\n").unwrap();
        let disk = open(sync);
        let second = disk.epoch();
        assert_ne!(second, epoch);
        assert_eq!(disk.head(), Sequence(1));
        wait(disk.append(publish(2, 10))).unwrap();
        drop(disk);
        assert_eq!(open(Sync::Always).epoch(), second, "once is enough");
        assert!(!file.exists());
    }
}

/// A log of so many messages, written in small groups.
fn write(folder: &Path, count: usize, padding: usize) {
    let disk = open(folder, false).unwrap();
    let numbers: Vec<usize> = (0..count).collect();
    for group in numbers.chunks(10) {
        let publishes = group.iter().map(|&number| publish(number, padding)).collect();
        let receipts = wait(disk.append_many(publishes)).unwrap();
        assert!(receipts.iter().all(Result::is_ok));
    }
}

/// Reads all, by the log and by the index of each topic; how many messages there are.
fn read_all(disk: &Disk) -> Result<usize, Error> {
    let count = |name: &str| -> Result<usize, Error> {
        let filters = Filters::new([Filter::parse(name).unwrap()]).unwrap();
        let limit = Limit { messages: usize::MAX, bytes: usize::MAX };
        let (mut from, mut count) = (ReadFrom::After(Sequence::ZERO), 0);
        loop {
            let batch = wait(disk.read(&filters, from, limit))?;
            count += batch.messages.len();
            if batch.upto >= disk.head() {
                return Ok(count);
            }
            from = from.onward(&batch);
        }
    };
    let all = count(">")?;
    let by_topic = (0..7).map(|topic| count(&format!("t.{topic}"))).sum::<Result<usize, _>>()?;
    assert_eq!(all, by_topic, "log and index say the same");
    Ok(all)
}

/// The files of the store that hold anything, by name, with the end of what is not zero.
fn files(folder: &Path) -> Vec<(String, usize)> {
    let found = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\n"]).output();
    let names = String::from_utf8(found.unwrap().stdout).unwrap();
    let mut files: Vec<(String, usize)> = names
        .lines()
        .map(|name| {
            let bytes = fs::read(folder.join(name)).unwrap();
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            (name.to_owned(), end)
        })
        .filter(|(name, end)| *end > 0 && name != "acknowledged" && name != "tidings-log")
        .collect();
    files.sort();
    files
}

/// Flips a bit or cuts a file off, at random, and starts: everything is there, or it is refused
/// with a word of advice, or reading says that it cannot.
fn damage(count: usize, padding: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    write(&original, count, padding);
    let files = files(&original);
    let mut random = Random::from_environment();
    let mut outcomes = [0; 3];
    for round in 0..rounds {
        let copy = folder.path().join(format!("copy{round}"));
        let mut copying = Command::new("cp");
        copying.args(["-a", "--sparse=always"]).arg(&original).arg(&copy);
        assert!(copying.status().unwrap().success());
        let (name, end) = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
        let at = random.below(*end as u64);
        let (path, is_cut) = (copy.join(name), random.below(3) == 0);
        if is_cut {
            fs::File::options().write(true).open(&path).unwrap().set_len(at).unwrap();
        } else {
            let mut bytes = fs::read(&path).unwrap();
            bytes[usize::try_from(at).unwrap()] ^= 1 << random.below(8);
            fs::write(&path, bytes).unwrap();
        }
        let what = format!("{name} {} at {at} of {end}", if is_cut { "cut" } else { "changed" });
        let outcome = match open(&copy, false) {
            Ok(disk) => match read_all(&disk) {
                Ok(found) => {
                    assert_eq!(found, count, "{what}: messages are silently gone");
                    0
                }
                Err(error) => {
                    assert!(matches!(error, Error::Unavailable { .. }), "{what}: {error}");
                    1
                }
            },
            Err(error) => {
                let is_told =
                    matches!(error, FolderError::Damaged { .. } | FolderError::Short { .. });
                assert!(is_told, "{what}: {error}");
                2
            }
        };
        outcomes[outcome] += 1;
        fs::remove_dir_all(&copy).unwrap();
    }
    let [whole, unreadable, refused] = outcomes;
    println!("of {rounds}: {whole} whole, {unreadable} told when read, {refused} refused");
}

#[test]
fn damage_to_the_journal_is_told() {
    damage(300, 20, 40);
}

#[test]
fn damage_to_tables_is_told() {
    damage(700, 30_000, 12);
}

/// What was written last is gone, as after a disk that lied: told, and gone on with if asked to.
#[test]
fn a_log_that_ends_too_early_is_refused_unless_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 300, 20);
    let journal = files(folder.path()).into_iter().find(|(name, _)| name.contains(".jnl"));
    let (name, end) = journal.unwrap();
    let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
    file.set_len(end as u64 / 2).unwrap();
    let Err(FolderError::Short { found, acknowledged, .. }) = open(folder.path(), false) else {
        panic!("it opens")
    };
    assert!(found < acknowledged && acknowledged == 300, "{found} {acknowledged}");
    let data = format!("data.dir={}", folder.path().display());
    let (code, complaint) = Broker::refuse(&[&data], None);
    assert!(code == Some(1) && complaint.contains("data.accept_loss"), "{complaint}");
    let disk = open(folder.path(), true).unwrap();
    assert_eq!(disk.head(), Sequence(300), "no place is used twice");
    assert_eq!(read_all(&disk), Ok(usize::try_from(found).unwrap()));
    let epoch = disk.epoch();
    let receipt = wait(disk.append(publish(1000, 0))).unwrap();
    assert_eq!(receipt.cursor.sequence, Sequence(301));
    drop(disk);
    let again = open(folder.path(), false).unwrap();
    assert_eq!((again.epoch(), again.head()), (epoch, Sequence(301)));
}

#[test]
fn only_one_process_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("data.dir={}", folder.path().display());
    let broker = Broker::with(&[&data]);
    let (code, complaint) = Broker::refuse(&[&data], None);
    assert!(code == Some(1) && complaint.contains("in use by another tidings"), "{complaint}");
    let (is_fine, said) = check(folder.path());
    assert!(!is_fine && said.contains("in use by another tidings"), "{said}");
    drop(broker);
    assert_eq!(check(folder.path()), (true, String::new()));
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    fs::create_dir(name("foreign")).unwrap();
    fs::write(name("foreign/letter.txt"), "dear").unwrap();
    fs::create_dir(name("newer")).unwrap();
    fs::write(name("newer/tidings-log"), "tidings log, format 9\n").unwrap();
    fs::write(name("file"), "").unwrap();
    let table = [
        ("foreign", "letter.txt"),
        ("newer", "format 9"),
        ("file", "is a file"),
        ("file/below", "Not a directory"),
    ];
    for (data, expected) in table {
        let (is_fine, said) = check(&name(data));
        assert!(!is_fine && said.contains(expected), "{data}: {said}");
        let set = format!("data.dir={}", name(data).display());
        let (code, complaint) = Broker::refuse(&[&set], None);
        assert!(code == Some(1) && complaint.contains(expected), "{data}: {complaint}");
    }
    assert_eq!(fs::read_dir(name("foreign")).unwrap().count(), 1);
    // What could be made is not made by looking.
    assert_eq!(check(&name("new/log")), (true, String::new()));
    assert!(!name("new").exists());
}

/// What `tidings check` says of a folder.
fn check(folder: &Path) -> (bool, String) {
    let output = program().arg("check").arg("--data").arg(folder).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}
