use std::collections::HashSet;

use super::*;

fn flag(key: &str, value: &str) -> Flag {
    let place = Place::Set(key.to_owned());
    Flag { place, key: key.to_owned(), value: value.to_owned() }
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A configuration of a file alone.
fn file(text: &str) -> Result<Config, Faults> {
    let mut loader = Loader::new();
    loader.file("tidings.toml", text);
    loader.finish()
}

fn defaults() -> Config {
    Config::load(None, [], Vec::new()).unwrap()
}

/// The one message of a file that is wrong.
fn fault(text: &str) -> String {
    file(text).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_those_of_the_documents() {
    let config = defaults();
    assert_eq!(config.server.listen, SocketAddr::from(([127, 0, 0, 1], 4000)));
    assert_eq!(config.server.admin_listen, Some(SocketAddr::from(([127, 0, 0, 1], 4001))));
    let expected = Limits {
        connections: 100_000,
        connections_per_address: 10_000,
        init_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_mins(1),
        subscriptions_per_connection: 1_000,
        message_bytes: 1 << 20,
        payload_bytes: 256 << 10,
        outbox_bytes: 1 << 20,
        outbox_messages: 10_000,
        query_depth: 12,
        query_complexity: 1_000,
        query_aliases: 100,
        publish_per_second: 0,
        memory_bytes: 256 << 20,
        drain_timeout: Duration::from_secs(10),
        idempotency_window: Duration::from_mins(2),
    };
    assert_eq!(config.limits, expected);
    let age = Some(Duration::from_mins(10));
    assert_eq!(config.keep, Keep { last: Some(1_000), age, bytes: Some(1 << 20) });
    assert_eq!((config.log.level, config.log.format), (LevelFilter::INFO, LogFormat::Text));
    assert!(config.topics.is_empty() && config.server.origins.is_empty());
}

#[test]
fn the_printed_defaults_are_a_file_that_changes_nothing() {
    let text = defaults::text();
    assert_eq!(file(&text), Ok(defaults()));
    for key in keys::KEYS {
        let name = key.name.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("\n{name} = ")) || text.contains(&format!("[[{name}]]")));
    }
}

#[test]
fn the_example_rule_of_the_printed_defaults_is_valid() {
    let text = defaults::text();
    let (_, example) = text.split_once("# [[topics]]").unwrap();
    let example = example.replace("\n# ", "\n");
    let config = file(&format!("[[topics]]{example}")).unwrap();
    assert_eq!(config.topics[0].overflow, Overflow::Conflate);
}

#[test]
fn every_key_can_be_set_by_file_variable_and_flag() {
    let mut seen = HashSet::new();
    for key in keys::KEYS {
        assert!(seen.insert(key.variable()), "{} is there twice", key.variable());
        let value = key.default.to_owned();
        let by_variable = Config::load(None, [(key.variable(), value.clone())], Vec::new());
        let by_flag = Config::load(None, [], vec![flag(key.name, &value)]);
        assert_eq!((by_variable, by_flag), (Ok(defaults()), Ok(defaults())), "{}", key.name);
        if key.name.starts_with("server.tls_") || ["schema.dir", "data.dir"].contains(&key.name) {
            continue; // A file or folder may have any name.
        }
        let wrong = Config::load(None, [], vec![flag(key.name, "{nonsense")]).unwrap_err();
        assert!(wrong.to_string().starts_with(&format!("--set {}: ", key.name)), "{wrong}");
    }
}

#[test]
fn tls_needs_both_of_its_files() {
    let set = |key, value| vec![flag(key, value)];
    for (given, missing) in
        [("server.tls_cert", "server.tls_key"), ("server.tls_key", "server.tls_cert")]
    {
        let wrong = Config::load(None, [], set(given, "some.pem")).unwrap_err().to_string();
        assert!(wrong.starts_with(&format!("{given} is set and {missing} is not")), "{wrong}");
    }
    let both = [set("server.tls_cert", "a"), set("server.tls_key", "b")].concat();
    let server = Config::load(None, [], both).unwrap().server;
    assert_eq!((server.tls_cert, server.tls_key), (Some("a".into()), Some("b".into())));
    let wrong = file("[server]\ntls_cert = 1").unwrap_err().to_string();
    assert!(wrong.contains("server.tls_cert = 1: expected the name of a PEM file"), "{wrong}");
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidings.toml");
    std::fs::write(&path, "[limits]\nconnections = 1\nquery_depth = 1\nquery_aliases = 1").unwrap();
    let variables =
        [variable("TIDINGS_LIMITS_CONNECTIONS", "2"), variable("TIDINGS_LIMITS_QUERY_DEPTH", "2")];
    let flags = vec![flag("limits.connections", "3")];
    let limits = Config::load(Some(&path), variables, flags).unwrap().limits;
    assert_eq!((limits.connections, limits.query_depth, limits.query_aliases), (3, 2, 1));
}

#[test]
fn topic_rules_are_read_in_order() {
    let text = r#"
        [[topics]]
        match = "quotes.*"
        keep = {last = 1}
        overflow = "CONFLATE"
        [[topics]]
        match = "log.>"
        keep = {age = "1h", bytes = "2MiB"}
        presence = false
        [[topics]]
        match = "plain"
    "#;
    let matching = |text| Filter::parse(text).unwrap();
    let rule = |text| TopicRule {
        matching: matching(text),
        keep: None,
        overflow: Overflow::Disconnect,
        presence: true,
    };
    let hour = Some(Duration::from_hours(1));
    let expected = vec![
        TopicRule {
            keep: Some(Keep { last: Some(1), ..Keep::default() }),
            overflow: Overflow::Conflate,
            ..rule("quotes.*")
        },
        TopicRule {
            keep: Some(Keep { last: None, age: hour, bytes: Some(2 << 20) }),
            presence: false,
            ..rule("log.>")
        },
        rule("plain"),
    ];
    assert_eq!(file(text).unwrap().topics, expected);
    let value = "[{match = 'quotes.*', keep = {last = 1}, overflow = 'CONFLATE'}]";
    let config = Config::load(None, [variable("TIDINGS_TOPICS", value)], Vec::new()).unwrap();
    assert_eq!(config.topics, expected[..1]);
}

#[test]
fn lists_are_split_at_commas_outside_the_file() {
    let value = "https://A.example, http://b.example:3000";
    let config = Config::load(None, [], vec![flag("server.origins", value)]).unwrap();
    assert_eq!(config.server.origins, ["https://a.example", "http://b.example:3000"]);
    let config = file("[server]\norigins = ['*']\nadmin_listen = 'off'").unwrap();
    assert_eq!((config.server.origins, config.server.admin_listen), (vec!["*".into()], None));
}

#[test]
fn faults_of_a_file_name_place_key_value_and_what_fits() {
    let table = [
        (
            "[limits]\ninit_timeout = 10",
            "tidings.toml:2:16: limits.init_timeout = 10: expected a \
          number with its unit, as in \"250ms\", \"10s\", \"10m\" or \"2h\", \
          up to \"36500d\"",
        ),
        (
            "[limits]\ninit_timeout = '0s'",
            "tidings.toml:2:16: limits.init_timeout = \"0s\": \
          expected a number with its unit, as in \"250ms\", \"10s\", \"10m\" or \"2h\", up to \
          \"36500d\", more than 0",
        ),
        (
            "[limits]\n\n  payload_bytes = \"1 MeB\"",
            "tidings.toml:3:19: limits.payload_bytes = \
          \"1 MeB\": expected bytes, as in 65536, \"64KiB\", \"1MiB\" or \"2GiB\"",
        ),
        (
            "limits.connections = 0",
            "tidings.toml:1:22: limits.connections = 0: expected a whole \
          number, at least 1",
        ),
        (
            "limits.connections = 1.5",
            "tidings.toml:1:22: limits.connections = 1.5: expected a \
          whole number, at least 1",
        ),
        (
            "limits.connections = -1",
            "tidings.toml:1:22: limits.connections = -1: expected a whole \
          number, at least 1",
        ),
        (
            "server.insecure = 'yes'",
            "tidings.toml:1:19: server.insecure = \"yes\": expected true \
          or false",
        ),
        (
            "server.listen = '4000'",
            "tidings.toml:1:17: server.listen = \"4000\": expected an \
          address and a port, as in \"127.0.0.1:4000\" or \"[::1]:4000\" (port 0 takes a free one)",
        ),
        (
            "server.origins = ['app.example']",
            "tidings.toml:1:19: server.origins = \"app.example\": \
          expected origins without a path, as in [\"https://app.example.com\"], or [\"*\"] for any",
        ),
        (
            "log.format = 'xml'",
            "tidings.toml:1:14: log.format = \"xml\": expected one of \"text\", \
          \"json\"",
        ),
        (
            "limits = 1",
            "tidings.toml:1:10: limits = 1: expected a section: [limits] and its keys \
          below",
        ),
        (
            "limits.connections = 1\nlimits.connections = 2",
            "tidings.toml:2:8: not valid TOML: \
          duplicate key",
        ),
        ("[limits", "tidings.toml:1:8: not valid TOML: unclosed table, expected `]`"),
    ];
    for (text, message) in table {
        assert_eq!(fault(text), message, "{text}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let table = [
        (
            "[limits]\ninit_timeot = '1s'",
            "tidings.toml:2:1: unknown key `limits.init_timeot`; the \
          nearest known one is `limits.init_timeout`",
        ),
        (
            "listen = '127.0.0.1:1'",
            "tidings.toml:1:1: unknown key `listen`; the nearest known one \
          is `server.listen`",
        ),
        (
            "[limit]\nconnections = 1",
            "tidings.toml:1:2: unknown key `limit`; the nearest known one \
          is `limits`",
        ),
        (
            "[server]\ninit_timeout = '1s'",
            "tidings.toml:2:1: unknown key `server.init_timeout`; \
          the nearest known one is `limits.init_timeout`",
        ),
        (
            "[[topic]]\nmatch = 'a'",
            "tidings.toml:1:3: unknown key `topic`; the nearest known one \
          is `topics`",
        ),
    ];
    for (text, message) in table {
        assert_eq!(fault(text), message, "{text}");
    }
    let wrong = Config::load(None, [], vec![flag("limits.conections", "1")]).unwrap_err();
    let message = "--set limits.conections: unknown key `limits.conections`; the nearest known \
                   one is `limits.connections`";
    assert_eq!(wrong.to_string(), message);
}

#[test]
fn faults_of_topic_rules() {
    let table = [
        (
            "[[topics]]\nkeep = {last = 1}",
            "tidings.toml:1:1: this topics rule has no `match`; name \
          its topics, as in match = \"quotes.*\"",
        ),
        (
            "[[topics]]\nmatch = 'a..b'",
            "tidings.toml:2:9: topics.match = \"a..b\": expected a \
          filter of topics, as in \"quotes.*\" or \"log.>\"; token 2 is empty; tokens are joined \
          by single dots, with none at the ends",
        ),
        (
            "[[topics]]\nmatch = 'a'\nkeep = 10",
            "tidings.toml:3:8: topics.keep = 10: expected \
          limits, as in {last = 1000, age = \"10m\", bytes = \"1MiB\"}",
        ),
        (
            "[[topics]]\nmatch = 'a'\nkeep = {lats = 10}",
            "tidings.toml:3:9: unknown key \
          `topics.keep.lats`; the nearest known one is `topics.keep.last`",
        ),
        (
            "[[topics]]\nmatch = 'a'\noverflow = 'DROP'",
            "tidings.toml:3:12: topics.overflow = \
          \"DROP\": expected one of \"DISCONNECT\", \"DROP_OLDEST\", \"CONFLATE\"",
        ),
        (
            "[[topics]]\nmatch = 'a'\noverflw = 'DROP'",
            "tidings.toml:3:1: unknown key \
          `topics.overflw`; the nearest known one is `topics.overflow`",
        ),
        (
            "topics = 3",
            "tidings.toml:1:10: topics = 3: expected a list of tables, as in [{match = \
          \"quotes.*\", keep = {last = 1}}]",
        ),
    ];
    for (text, message) in table {
        assert_eq!(fault(text), message, "{text}");
    }
}

#[test]
fn variables_of_others_are_left_alone_and_slips_are_not() {
    let load = |name: &str| Config::load(None, [variable(name, "1")], Vec::new());
    let foreign = [
        "PATH",
        "TIDINGS_URL",
        "TIDINGS_VERSION",
        "TIDINGS_PORT",
        "TIDINGS_SERVICE_HOST",
        "TIDINGS_SERVER_SERVICE_PORT_HTTP",
        "TIDINGS_SERVER_PORT_4000_TCP_ADDR",
    ];
    for name in foreign {
        assert_eq!(load(name), Ok(defaults()), "{name}");
    }
    let slips = [
        ("TIDINGS_LIMITS_CONECTIONS", "TIDINGS_LIMITS_CONNECTIONS"),
        ("TIDINGS_LIMIT_CONNECTIONS", "TIDINGS_LIMITS_CONNECTIONS"),
        ("TIDINGS_LOG_LEVLE", "TIDINGS_LOG_LEVEL"),
    ];
    for (name, nearest) in slips {
        let message = format!(
            "variable {name}: no key has this name; the nearest known variable is {nearest}"
        );
        assert_eq!(load(name).unwrap_err().to_string(), message);
    }
    let wrong = Config::load(None, [variable("TIDINGS_LIMITS_QUERY_DEPTH", "x")], Vec::new());
    let message = "variable TIDINGS_LIMITS_QUERY_DEPTH: limits.query_depth = x: expected a whole \
                   number, at least 1";
    assert_eq!(wrong.unwrap_err().to_string(), message);
}

#[test]
fn all_faults_are_told_at_once() {
    let message = fault("[limits]\nconnections = 0\nquery_depth = 0\n[log]\nlevel = 'loud'");
    assert_eq!(message.lines().count(), 3, "{message}");
}

#[test]
fn without_a_key_only_loopback_is_served() {
    let message = "server.listen = 0.0.0.0:4000: not a loopback address, and no key is configured \
                   to check clients with; listen on 127.0.0.1, or pass --insecure to serve \
                   everybody";
    assert_eq!(fault("server.listen = '0.0.0.0:4000'"), message);
    assert!(fault("server.admin_listen = '[::]:4001'").starts_with("server.admin_listen = "));
    let open = "[server]\nlisten = '0.0.0.0:4000'\ninsecure = true";
    assert!(file(open).is_ok());
    assert!(file("server.listen = '[::1]:4000'").is_ok());
    assert!(file("server.listen = 'localhost:0'").is_ok());
}

#[test]
fn only_flags_of_their_own_are_usage() {
    let listen = |place| Flag { place, key: "server.listen".into(), value: "x".into() };
    let own = Config::load(None, [], vec![listen(Place::Flag("--listen"))]).unwrap_err();
    let set = Config::load(None, [], vec![listen(Place::Set("server.listen".into()))]).unwrap_err();
    assert!(own.are_usage() && !set.are_usage());
    let missing = Config::load(Some(Path::new("no/such.toml")), [], Vec::new()).unwrap_err();
    assert!(missing.to_string().starts_with("no/such.toml: cannot be read: "));
}
