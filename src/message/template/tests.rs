use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn template(text: &str) -> Template {
    Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

#[test]
fn tokens_are_literal_or_one_placeholder() {
    let good = ["quotes.{symbol}", "a", "{a}", "{a}.{b}.c", "v1.{_x9}", "100%.{a}", "a$.{b}"];
    for text in good {
        assert_eq!(template(text).as_str(), text);
    }
    let names: Vec<String> =
        template("a.{b}.c.{d}").placeholders().map(ToOwned::to_owned).collect();
    assert_eq!(names, ["b", "d"]);
}

#[test]
fn what_is_wrong_is_named() {
    let wide = format!("{}.{{a}}", "x".repeat(TOPIC_BYTES_MAX - 1));
    let many = vec!["t"; TOPIC_TOKENS_MAX + 1].join(".");
    let twice = TemplateError::Twice { token: 3, placeholder: "a".into() };
    let no_name = |name: &str| TemplateError::NoName { token: 2, placeholder: name.into() };
    let table = [
        ("", TemplateError::Empty),
        (wide.as_str(), TemplateError::TooLong(TOPIC_BYTES_MAX + 1)),
        (&many, TemplateError::TooManyTokens(TOPIC_TOKENS_MAX + 1)),
        ("a..b", TemplateError::EmptyToken { token: 2 }),
        (".a", TemplateError::EmptyToken { token: 1 }),
        ("a.b c", TemplateError::Character { token: 2, character: ' ' }),
        ("a.*", TemplateError::Character { token: 2, character: '*' }),
        (">", TemplateError::Character { token: 1, character: '>' }),
        ("$a.{b}", TemplateError::Reserved),
        ("a.v{x}", TemplateError::Mixed { token: 2 }),
        ("a.{x}{y}", TemplateError::Mixed { token: 2 }),
        ("a.{x", TemplateError::Mixed { token: 2 }),
        ("a.x}", TemplateError::Mixed { token: 2 }),
        ("a.{", TemplateError::Mixed { token: 2 }),
        ("a.{}", no_name("")),
        ("a.{9}", no_name("9")),
        ("a.{x y}", no_name("x y")),
        ("{a}.b.{a}", twice),
    ];
    for (text, error) in table {
        assert_eq!(Template::parse(text), Err(error), "{text}");
    }
    let fits = format!("{}.{{a}}", "x".repeat(TOPIC_BYTES_MAX - 2));
    assert_eq!(template(&fits).every().as_str().len(), TOPIC_BYTES_MAX);
}

#[test]
fn values_become_tokens() {
    let quotes = template("quotes.{symbol}");
    let table = [
        ("AAPL", "quotes.AAPL"),
        ("BRK.B", "quotes.BRK%2EB"),
        ("*", "quotes.%2A"),
        (">", "quotes.%3E"),
        ("50%", "quotes.50%25"),
        ("a b\n", "quotes.a%20b%0A"),
        ("$x", "quotes.$x"),
        ("日本", "quotes.日本"),
        ("a\u{2003}b", "quotes.a%E2%80%83b"),
    ];
    for (value, expected) in table {
        let made = quotes.topic(|_| value.into()).unwrap();
        assert_eq!(made.as_str(), expected);
        assert_eq!(quotes.values(&made), Some(vec![("symbol", value.to_owned())]));
    }
    let first = template("{tenant}.x");
    assert_eq!(first.topic(|_| "$SYS$".into()).unwrap().as_str(), "%24SYS$.x");
}

#[test]
fn values_that_make_no_topic_are_refused() {
    let template = template("a.{b}.{c}");
    let fill = |b: &str, c: &str| {
        let values: HashMap<&str, String> =
            [("b", b.to_owned()), ("c", c.to_owned())].into_iter().collect();
        template.topic(|name| values[name].clone().into())
    };
    assert_eq!(fill("x", ""), Err(ValueError::Empty { placeholder: "c".into() }));
    let long = ValueError::TooLong { placeholder: "b".into(), bytes: 256 };
    assert_eq!(fill(&"x".repeat(252), "y"), Err(long));
    assert!(fill(&"x".repeat(251), "y").is_ok());
    // Three bytes for every dot.
    assert!(fill(&".".repeat(84), "y").is_err());
}

#[test]
fn a_placeholder_without_a_value_is_a_wildcard() {
    let template = template("a.{b}.{c}");
    let filter = template.filter(|name| (name == "c").then(|| "x.*".into())).unwrap();
    assert_eq!(filter.as_str(), "a.*.x%2E%2A");
    assert_eq!(template.every().as_str(), "a.*.*");
}

#[test]
fn a_topic_of_another_shape_or_spelling_has_no_values() {
    let template = template("{a}.b");
    let foreign = ["x", "x.c", "x.b.c", "%41.b", "%2e.b", "%zz.b", "%2.b", "%.b", "x%FF.b"];
    for text in foreign {
        assert_eq!(template.values(&topic(text)), None, "{text}");
    }
    assert_eq!(template.values(&topic("x.b")), Some(vec![("a", "x".to_owned())]));
}

#[test]
fn templates_overlap_where_one_topic_is_of_both() {
    let table = [
        ("a.{b}", "a.{c}", true),
        ("a.{b}", "a.c", true),
        ("a.{b}", "{x}.c", true),
        ("a.{b}", "b.{b}", false),
        ("a.{b}", "a.{b}.c", false),
        ("a.b", "a.b", true),
        ("a.b", "a.c", false),
    ];
    for (one, other, expected) in table {
        let (one, other) = (template(one), template(other));
        assert_eq!(one.overlaps(&other), expected, "{one} {other}");
        assert_eq!(other.overlaps(&one), expected, "{other} {one}");
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c$.*>% \u{2003}é\n{}]{1,6}",
        "%[0-9A-Fa-f]{2}",
        any::<String>().prop_filter("not empty", |text| !text.is_empty() && text.len() < 40),
    ]
}

fn any_template() -> impl Strategy<Value = Template> {
    prop_oneof![Just("{a}.{b}"), Just("x.{a}.{b}"), Just("{a}.x.{b}"), Just("x.{b}.{a}.y")]
        .prop_map(template)
}

proptest! {
    #[test]
    fn a_topic_gives_its_values_back(template in any_template(), a in value(), b in value()) {
        let made = template.topic(|name| if name == "a" { &a } else { &b }.into()).unwrap();
        let values: HashMap<&str, String> =
            template.values(&made).unwrap().into_iter().collect();
        prop_assert_eq!((&values["a"], &values["b"]), (&a, &b));
        prop_assert!(template.every().matches(&made));
        let exact = template.filter(|name| Some(if name == "a" { &a } else { &b }.into()));
        prop_assert_eq!(exact.unwrap(), Filter::from(&made));
    }

    #[test]
    fn distinct_values_have_distinct_topics(
        template in any_template(),
        one in (value(), value()),
        other in (value(), value()),
    ) {
        let made = |values: &(String, String)| {
            template.topic(|name| if name == "a" { &values.0 } else { &values.1 }.into()).unwrap()
        };
        prop_assert_eq!(made(&one) == made(&other), one == other);
    }

    #[test]
    fn what_has_values_is_made_of_them(
        template in any_template(), text in "[a-c$x%0-9A-F.]{1,12}",
    ) {
        let Ok(topic) = Topic::parse(&text) else { return Ok(()) };
        let Some(values) = template.values(&topic) else { return Ok(()) };
        let values: HashMap<&str, String> = values.into_iter().collect();
        let again = template.topic(|name| values[name].clone().into());
        prop_assert_eq!(again.unwrap(), topic);
    }

    #[test]
    fn overlapping_is_having_a_topic_in_common(
        one in prop::collection::vec("a|b|\\{a\\}", 1..4),
        other in prop::collection::vec("a|b|\\{a\\}", 1..4),
    ) {
        let parse = |tokens: &[String]| Template::parse(&tokens.join("."));
        let (Ok(one), Ok(other)) = (parse(&one), parse(&other)) else { return Ok(()) };
        let topics = (1_usize..4).flat_map(|length| {
            (0..1_usize << length).map(move |bits| {
                let token = |index: usize| if bits >> index & 1 == 1 { "a" } else { "b" };
                topic(&(0..length).map(token).collect::<Vec<_>>().join("."))
            })
        });
        let common = topics.into_iter().any(|topic| {
            one.every().matches(&topic) && other.every().matches(&topic)
        });
        prop_assert_eq!(one.overlaps(&other), common);
    }
}
