//! What was probably meant by a name that does not exist.

/// Likeness from which on a name is a slip of another one.
const MEANT: f64 = 0.6;

/// The known name most like a wrong one, if any is like it.
pub(super) fn name<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong_small = wrong.to_ascii_lowercase();
    let likeness = |name: &str| {
        let folded =
            strsim::normalized_damerau_levenshtein(&wrong_small, &name.to_ascii_lowercase());
        // Equal but for letter case is a slip, however short.
        folded + strsim::normalized_damerau_levenshtein(wrong, name) / 100.0
    };
    let known = known.into_iter().map(|name| (likeness(name), name));
    let best = known.max_by(|(one, a), (other, b)| one.total_cmp(other).then(b.cmp(a)))?;
    Some(best.1).filter(|_| best.0 >= MEANT)
}

/// "a field with a similar name exists", or else which there are.
pub(super) fn help<'a>(
    kind: &str,
    wrong: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(nearest) = name(wrong, known.clone()) {
        let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        return format!("{article} {kind} with a similar name exists: `{nearest}`");
    }
    let quoted: Vec<String> = known.into_iter().take(10).map(|name| format!("`{name}`")).collect();
    match quoted.len() {
        0 => format!("there is no {kind}"),
        1 => format!("the only {kind} is {}", quoted[0]),
        _ => format!("there are {}", list(&quoted)),
    }
}

/// `a`, `b` and `c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
