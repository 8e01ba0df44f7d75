//! `--watch`: what changes in the files is taken over without a signal.

use serde_json::json;

use super::Reloading;
use crate::harness::tls::Authority;
use crate::harness::wait;

const DEPTH: &str = "[limits]\nquery_depth = ";

#[tokio::test]
async fn a_file_that_is_written_or_replaced_is_taken_over() {
    let mut reloading = Reloading::with(&format!("{DEPTH}5"), &["--watch"]);
    let mut peer = reloading.broker.peer().await;
    for depth in 6..10 {
        let text = format!("{DEPTH}{depth}");
        if depth % 2 == 0 {
            reloading.write(&text);
        } else {
            std::fs::write(reloading.path("new"), &text).unwrap();
            std::fs::rename(reloading.path("new"), reloading.path("tidings.toml")).unwrap();
        }
        assert_eq!(reloading.outcome().await, "limits.query_depth", "{depth}");
        assert_eq!(reloading.limits(&mut peer).await["query_depth"], depth);
    }
    // What is wrong is told once, and mended without a signal.
    reloading.write(&format!("{DEPTH}0"));
    assert!(reloading.outcome().await.contains("query_depth"));
    reloading.write(&format!("{DEPTH}9"));
    assert_eq!(reloading.outcome().await, "nothing has changed");
    // What happens to other files of the folder is no reload; the log is one of them.
    std::fs::write(reloading.path("other"), "1").unwrap();
    reloading.write(&format!("{DEPTH}11"));
    assert_eq!(reloading.outcome().await, "limits.query_depth");
    assert_eq!(reloading.log().matches("reloaded: ").count(), reloading.seen);
}

#[tokio::test]
async fn a_folder_may_go_and_come_back() {
    let root = tempfile::tempdir().unwrap();
    let mut reloading = Reloading::in_folder(root, &format!("{DEPTH}5"), &[]);
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("etc/tidings");
    std::fs::create_dir_all(&inner).unwrap();
    let write = |depth| {
        std::fs::write(inner.join("tidings.toml"), format!("{DEPTH}{depth}")).unwrap();
    };
    write(5);
    let log = reloading.path("log");
    let file = inner.join("tidings.toml");
    reloading.broker = crate::harness::broker::Broker::of_file(&file, &["--watch"], &log);
    for depth in [6, 7] {
        std::fs::remove_dir_all(folder.path().join("etc")).unwrap();
        let outcome = reloading.outcome().await;
        assert!(outcome.contains("cannot be read"), "{outcome}");
        std::fs::create_dir_all(&inner).unwrap();
        write(depth);
        // It may be looked at before the file is there.
        wait::until("it is taken over", async || {
            let outcome = reloading.log().lines().last()?.contains("limits.query_depth");
            outcome.then_some(())
        })
        .await;
        reloading.seen = reloading.log().matches("reloaded: ").count();
        let mut peer = reloading.broker.peer().await;
        assert_eq!(reloading.limits(&mut peer).await["query_depth"], depth);
    }
}

#[tokio::test]
async fn watching_itself_is_turned_on_and_off_by_a_reload() {
    let mut reloading = Reloading::start("");
    let on = "[schema]\nwatch = true\n";
    assert_eq!(reloading.reload(on).await, "schema.watch");
    reloading.write(&format!("{on}{DEPTH}5"));
    assert_eq!(reloading.outcome().await, "limits.query_depth");
    reloading.write(&format!("{DEPTH}5"));
    assert_eq!(reloading.outcome().await, "schema.watch");
    // Nobody looks: the next thing to happen is what the signal asks for.
    reloading.write(&format!("{DEPTH}6"));
    reloading.write(&format!("{DEPTH}5"));
    reloading.broker.signal("HUP");
    assert_eq!(reloading.outcome().await, "nothing has changed");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over() {
    let authority = Authority::new();
    let settings = authority.settings();
    let sets = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
    let flags: Vec<&str> = sets.chain(["--watch"]).collect();
    let mut reloading = Reloading::with("", &flags);
    let shown = async |reloading: &Reloading| {
        let stream = authority.connect(reloading.broker.address).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let mut peer = authority.peer(&reloading.broker).await;
    let first = shown(&reloading).await;
    let second = authority.issue(&["localhost"]);
    // The two files are written one after the other: between them they may not fit.
    wait::until("the new certificate is shown", async || {
        (shown(&reloading).await == second).then_some(())
    })
    .await;
    assert_ne!(first, second);
    let last = reloading.log().lines().last().unwrap().to_owned();
    assert!(last.ends_with("reloaded: the certificate"), "{last}");
    reloading.seen += 1;
    assert_eq!(peer.ask("{ __typename }", json!({})).await["__typename"], "Query");
}

#[cfg(unix)]
#[tokio::test]
async fn a_mounted_config_map_is_taken_over() {
    use std::os::unix::fs::symlink;

    // As Kubernetes lays it out: links to a link to a folder, which is exchanged as a whole.
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let fill = |folder: &str, depth: u32| {
        std::fs::create_dir(at(folder)).unwrap();
        std::fs::write(at(folder).join("tidings.toml"), format!("{DEPTH}{depth}")).unwrap();
    };
    fill("..1", 5);
    symlink("..1", at("..data")).unwrap();
    symlink("..data/tidings.toml", at("tidings.toml")).unwrap();
    let mut reloading = Reloading::start("");
    let log = reloading.path("log");
    let file = at("tidings.toml");
    reloading.broker = crate::harness::broker::Broker::of_file(&file, &["--watch"], &log);
    for number in 2..5 {
        let folder = format!("..{number}");
        fill(&folder, 5 + number);
        symlink(&folder, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        std::fs::remove_dir_all(at(&format!("..{}", number - 1))).unwrap();
        assert_eq!(reloading.outcome().await, "limits.query_depth");
    }
    let mut peer = reloading.broker.peer().await;
    assert_eq!(reloading.limits(&mut peer).await["query_depth"], 9);
}
