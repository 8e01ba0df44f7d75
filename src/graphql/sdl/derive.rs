//! The SDL that a model becomes: the generic schema with everything that is derived of its types.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, Type};

use super::model::{Field, Model, Object, TypedTopic};
use super::names::Names;
use super::print::{described, each};
use super::{filters, print};

/// The generic schema, which is always there.
pub(super) const GENERIC: &str = include_str!("../../../schema/tidings.graphql");

/// For whom the SDL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Clients: as it is served and as introspection shows it.
    Clients,
    /// A router of Apollo Federation that composes it with other subgraphs: the typed topics and
    /// what they need, with its directives. Fields of the generic schema would be the same in
    /// every broker, and a router's clients have no business with them.
    Composition,
}

/// The whole SDL.
pub fn derive(model: &Model, audience: Audience) -> String {
    let mut out = Derived { audience, types: String::new(), roots: BTreeMap::new() };
    for topic in &model.topics {
        out.topic(model, topic);
    }
    out.types.push_str(&print::types(model, audience));
    out.types.push_str(&filters::of(model));
    out.entities(model);
    out.finish()
}

/// Does a router ask this model for entities?
pub fn has_entities(model: &Model) -> bool {
    entities(model).next().is_some()
}

/// The types that a router may ask for by their keys.
pub fn entities(model: &Model) -> impl Iterator<Item = &TypedTopic> {
    model.topics.iter().filter(|topic| {
        let object = model.object(&topic.object);
        object.is_some_and(|object| object.keys.iter().any(|key| key.is_resolvable))
    })
}

struct Derived {
    audience: Audience,
    types: String,
    /// Fields of the roots by their names.
    roots: BTreeMap<&'static str, String>,
}

impl Derived {
    fn finish(self) -> String {
        let types = self.types;
        let roots = self.roots.iter();
        match self.audience {
            Audience::Clients => {
                let mut sdl = GENERIC.trim_end().to_owned();
                for (root, fields) in roots {
                    let head = format!("\ntype {root} {{");
                    // The generic schema has each root, and its closing brace begins a line.
                    let start = sdl.find(&head).map_or(0, |at| at + head.len());
                    let end = sdl[start..].find("\n}").map_or(sdl.len(), |at| start + at + 1);
                    sdl.insert_str(end, fields);
                }
                format!("{sdl}\n{types}")
            }
            Audience::Composition => {
                let roots = each(roots, |(root, fields)| format!("\ntype {root} {{\n{fields}}}\n"));
                format!("{LINK}{}{roots}{types}", shared())
            }
        }
    }

    fn root(&mut self, root: &'static str, field: &str) {
        self.roots.entry(root).or_default().push_str(field);
    }

    fn topic(&mut self, model: &Model, topic: &TypedTopic) {
        let Some(object) = model.object(&topic.object) else { return };
        let names = Names::of(&topic.stem);
        let (ty, template) = (&topic.object, topic.template.as_str());
        let placeholders: Vec<(&str, String)> = topic
            .template
            .placeholders()
            .filter_map(|name| Some((name, innermost(&object.field(name)?.ty).to_owned())))
            .collect();
        let each = |list: bool| -> String {
            let argument = |(name, ty): &(&str, String)| {
                let (doc, ty) = if list {
                    ("Only of these values; left out: of every value.", format!("[{ty}!]"))
                } else {
                    ("Which one.", format!("{ty}!"))
                };
                format!("    \"{doc}\"\n    {name}: {ty}\n")
            };
            each(&placeholders, argument)
        };
        let newest =
            if placeholders.is_empty() { String::new() } else { format!("(\n{}  )", each(false)) };
        let description = object.description.as_deref().unwrap_or("A message of this type.");
        let Names { newest: stem, subscription, history, publish, publish_many, .. } = &names;
        let list = each(true);
        let line = |text: String| described(Some(&text), "  ");
        let kept = line(format!("Messages kept of `{template}`, in pages."));
        let newest_of = line(format!("The newest message of `{template}`."));
        let query = format!(
            r#"{newest_of}  {stem}{newest}: {ty}
{kept}  {history}(
{list}{HISTORY}    "Only messages that pass this."
    where: {ty}Filter
  ): {ty}Connection!
"#
        );
        self.root("Query", &query);
        let published = line(format!("Publishes to `{template}`, which its fields complete."));
        let (input, inputs) = (&names.argument, &names.arguments);
        let mutation = format!(
            r#"{published}  {publish}(
    "The message."
    {input}: {ty}Input!
{PUBLISH}  ): Receipt!
  "Publishes in order. A refused one is null, and its error has the path."
  {publish_many}("The messages." {inputs}: [{ty}Input!]!): [Receipt]!
"#
        );
        self.root("Mutation", &mutation);
        let followed = described(Some(description), "  ");
        let subscription = format!(
            r#"{followed}  {subscription}(
{list}{SUBSCRIPTION}    "Only messages that pass this."
    where: {ty}Filter
{PACE}  ): {ty}!
"#
        );
        self.root("Subscription", &subscription);
        self.types.push_str(&page(ty));
    }

    fn entities(&mut self, model: &Model) {
        if self.audience == Audience::Composition || !has_entities(model) {
            return;
        }
        let names: Vec<&str> = entities(model).map(|topic| topic.object.as_str()).collect();
        self.types.push_str(ENTITIES);
        self.types.extend(["union _Entity = ", &names.join(" | "), "\n"]);
        self.root("Query", ENTITY_FIELDS);
    }
}

impl Model {
    /// The object type of this name.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name == name)
    }

    /// What `@topic` says of the type of this name.
    pub fn topic(&self, name: &str) -> Option<&TypedTopic> {
        self.topics.iter().find(|topic| topic.object == name)
    }
}

impl Object {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The named type inside all wrappers.
pub(super) fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(item) => innermost(item),
    }
}

/// The types of a page of this type.
fn page(ty: &str) -> String {
    format!(
        r#"
"A page of `{ty}`, in log order."
type {ty}Connection {{
  "Messages with their cursors."
  edges: [{ty}Edge!]!
  "Messages alone."
  nodes: [{ty}!]!
  "Where this page stands."
  pageInfo: PageInfo!
}}

"A `{ty}` in a page."
type {ty}Edge {{
  "The message."
  node: {ty}!
  "The message's cursor."
  cursor: Cursor!
}}
"#
    )
}

/// The types of the generic schema that typed topics refer to. Other subgraphs may have them as
/// well: another broker, and everyone who has pages of Relay's.
fn shared() -> String {
    let is_needed = |block: &&str| {
        let head =
            block.lines().find(|line| line.starts_with("type ") || line.starts_with("scalar "));
        let name = head.and_then(|head| head.split(' ').nth(1));
        name.is_some_and(|name| SHARED.contains(&name))
    };
    let share = |line: &str| match line.strip_suffix(" {") {
        Some(head) if head.starts_with("type ") => format!("{head} @shareable {{\n"),
        _ => format!("{line}\n"),
    };
    let blocks = GENERIC.split("\n\n").filter(is_needed);
    each(blocks, |block| format!("\n{}", each(block.lines(), share)))
}

const SHARED: [&str; 6] = ["JSON", "DateTime", "Cursor", "Message", "Receipt", "PageInfo"];

// Apollo's composition knows no `@oneOf`, unless it is defined.
const LINK: &str = r#"extend schema
  @link(
    url: "https://specs.apollo.dev/federation/v2.3"
    import: ["@key", "@shareable", "@tag", "@inaccessible"]
  )

directive @oneOf on INPUT_OBJECT
"#;

const HISTORY: &str = r#"    "The first so many of the range."
    first: Int
    "The last so many of the range."
    last: Int
    "Only messages after this one; \"earliest\" is the oldest kept."
    after: Cursor
    "Only messages before this one."
    before: Cursor
    "Only messages accepted at this time or later."
    since: DateTime
"#;

const SUBSCRIPTION: &str = r#"    "First all after this, then live. \"earliest\" is all kept."
    after: Cursor
    "First everything since this time, then live."
    since: DateTime
    "First the newest so many of every matching topic, then live: with 1, current values."
    last: Int
    "First the newest snapshot and what followed it, or all that is kept, then live."
    snapshot: Boolean
"#;

const PACE: &str = r#"    "At most so often per key, always ending on the newest."
    maxPerSecond: Float
    "Nothing is sent while the selected fields of a key are what they were."
    distinct: Boolean
"#;

const PUBLISH: &str = r#"    "Idempotency: a second publish with it gets the first one's receipt."
    id: String
    "Only if the topic's last message is still this one; \"\" is: only if the topic is empty."
    ifLast: Cursor
    "Object of strings."
    headers: JSON
"#;

const ENTITIES: &str = r#"
"A reference to an entity: `__typename` and the fields of one of its keys."
scalar _Any

"What a router of Apollo Federation composes."
type _Service {
  "This subgraph's SDL."
  sdl: String!
}

"A type with `@key`."
"#;

const ENTITY_FIELDS: &str = r#"  "This subgraph, for routers of Apollo Federation."
  _service: _Service!
  "The newest messages of these references; null where a topic keeps none."
  _entities("Which." representations: [_Any!]!): [_Entity]!
"#;
