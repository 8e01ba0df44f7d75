//! The `[[topics]]` tables.

use super::fault::{Fault, Place};
use super::given::{Entry, Given, Raw};
use super::{Keep, Overflow, TopicRule, file, keys};
use crate::message::filter::Filter;

const RULE_KEYS: [&str; 4] = ["match", "keep", "overflow", "presence"];
const KEEP_KEYS: [&str; 3] = ["last", "age", "bytes"];
const OVERFLOWS: [(&str, Overflow); 3] = [
    ("DISCONNECT", Overflow::Disconnect),
    ("DROP_OLDEST", Overflow::DropOldest),
    ("CONFLATE", Overflow::Conflate),
];
const FITS: &str = "a list of tables, as in [{match = \"quotes.*\", keep = {last = 1}}]";

/// The rules, in order.
pub(super) fn rules(given: &Given) -> Result<Vec<TopicRule>, Vec<Fault>> {
    let parsed;
    let given = match &given.raw {
        Raw::Bare(text) => {
            parsed = file::read_value(&given.place, text).map_err(|fault| vec![fault])?;
            &parsed
        }
        _ => given,
    };
    let Raw::List(tables) = &given.raw else {
        return Err(vec![given.misfit("topics", FITS)]);
    };
    let mut faults = Vec::new();
    let rules = tables.iter().filter_map(|table| rule(table, &mut faults)).collect();
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

fn rule(table: &Given, faults: &mut Vec<Fault>) -> Option<TopicRule> {
    let Raw::Table(entries) = &table.raw else {
        faults.push(table.misfit("topics", FITS));
        return None;
    };
    let mut matching = None;
    let mut named = false;
    let (mut keep, mut overflow, mut presence) = (None, Overflow::default(), true);
    for Entry { name, place, value } in entries {
        let key = format!("topics.{name}");
        let outcome = match name.as_str() {
            "match" => {
                named = true;
                filter(&key, value).map(|filter| matching = Some(filter))
            }
            "keep" => keeping(&key, value, faults).map(|value| keep = Some(value)),
            "overflow" => value.word(&key, &OVERFLOWS).map(|value| overflow = value),
            "presence" => value.flag(&key).map(|value| presence = value),
            _ => Err(unknown(place, "topics", name, &RULE_KEYS)),
        };
        faults.extend(outcome.err());
    }
    if !named {
        faults.push(Fault::NoMatch { place: table.place.clone() });
    }
    Some(TopicRule { matching: matching?, keep, overflow, presence })
}

fn filter(key: &str, given: &Given) -> Result<Filter, Fault> {
    let fits = "a filter of topics, as in \"quotes.*\" or \"log.>\"";
    let text = given.text().ok_or_else(|| given.misfit(key, fits))?;
    Filter::parse(text).map_err(|error| given.misfit(key, &format!("{fits}; {error}")))
}

fn keeping(key: &str, given: &Given, faults: &mut Vec<Fault>) -> Result<Keep, Fault> {
    let Raw::Table(entries) = &given.raw else {
        let fits = "limits, as in {last = 1000, age = \"10m\", bytes = \"1MiB\"}";
        return Err(given.misfit(key, fits));
    };
    let mut keep = Keep::default();
    for Entry { name, place, value } in entries {
        let inner = format!("{key}.{name}");
        let outcome = match name.as_str() {
            "last" => value.count(&inner, 0).map(|value| keep.last = Some(value)),
            "age" => value.duration(&inner).map(|value| keep.age = Some(value)),
            "bytes" => value.size(&inner, 0).map(|value| keep.bytes = Some(value)),
            _ => Err(unknown(place, key, name, &KEEP_KEYS)),
        };
        faults.extend(outcome.err());
    }
    Ok(keep)
}

fn unknown(place: &Place, table: &str, name: &str, known: &[&str]) -> Fault {
    Fault::UnknownKey {
        place: place.clone(),
        key: format!("{table}.{name}"),
        nearest: format!("{table}.{}", keys::nearest(name, known.iter().copied())),
    }
}
