//! Text of TOML becomes keys with values and their places.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::given::{Entry, Given, Raw};
use super::keys::{self, Key};

/// A key of the table, or why there is none.
type Found = Result<&'static Key, Fault>;

/// The settings of a `tidings.toml`; the name is for messages.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<(Found, Given)>, Fault> {
    let source = Source { name, text };
    let table = DeTable::parse(text).map_err(|error| Fault::Syntax {
        place: source.place(error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut settings = Vec::new();
    for entry in source.entries(table.get_ref()) {
        match (keys::by_name(&entry.name), entry.value.raw) {
            (Some(key), raw) => settings.push((Ok(key), Given { place: entry.value.place, raw })),
            (None, Raw::Table(inner)) if keys::is_section(&entry.name) => {
                settings.extend(inner.into_iter().map(|inner| {
                    let name = format!("{}.{}", entry.name, inner.name);
                    let known = keys::by_name(&name);
                    (known.ok_or_else(|| keys::unknown(inner.place, name)), inner.value)
                }));
            }
            (None, raw) if keys::is_section(&entry.name) => {
                let given = Given { place: entry.value.place, raw };
                let fits = format!("a section: [{}] and its keys below", entry.name);
                settings.push((Err(given.misfit(&entry.name, &fits)), given));
            }
            (None, raw) => {
                let fault = keys::unknown(entry.place, entry.name);
                settings.push((Err(fault), Given { place: entry.value.place, raw }));
            }
        }
    }
    Ok(settings)
}

/// One value, as a variable holds it; every part of it stands where the variable stands.
pub(super) fn read_value(place: &Place, text: &str) -> Result<Given, Fault> {
    let value = DeValue::parse(text).map_err(|error| Fault::Syntax {
        place: place.clone(),
        reason: error.message().to_owned(),
    })?;
    let source = Source { name: "", text };
    let mut given = source.given(&value);
    given.stand_at(place);
    Ok(given)
}

struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            name: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// In the order of the text: the parser sorts by name.
    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, value): (&Spanned<_>, _)| self.entry(name, value);
        pairs.into_iter().map(entry).collect()
    }

    fn entry(
        &self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Entry {
        Entry {
            name: name.get_ref().to_string(),
            place: self.place(name.span().start),
            value: self.given(value),
        }
    }

    fn given(&self, value: &Spanned<DeValue<'_>>) -> Given {
        let written = || self.text.get(value.span()).unwrap_or_default().to_owned();
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Raw::Other(written()), Raw::Integer),
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Array(items) => Raw::List(items.iter().map(|item| self.given(item)).collect()),
            DeValue::Table(table) => Raw::Table(self.entries(table)),
            DeValue::Float(_) | DeValue::Datetime(_) => Raw::Other(written()),
        };
        Given { place: self.place(value.span().start), raw }
    }
}

impl Given {
    fn stand_at(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.raw {
            Raw::List(items) => items.iter_mut().for_each(|item| item.stand_at(place)),
            Raw::Table(entries) => entries.iter_mut().for_each(|entry| {
                entry.place = place.clone();
                entry.value.stand_at(place);
            }),
            Raw::Bare(_) | Raw::Text(_) | Raw::Integer(_) | Raw::Flag(_) | Raw::Other(_) => {}
        }
    }
}
