//! The SDL that a model becomes: the generic schema with everything that is derived of its types.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, Type};

use super::filters;
use super::model::{Enum, Field, Model, Object, Scalar, TypedTopic};
use super::names::Names;

/// The generic schema, which is always there.
const GENERIC: &str = include_str!("../../../schema/tidings.graphql");

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
    let mut out = Text { audience, text: String::new(), roots: BTreeMap::new() };
    for topic in &model.topics {
        out.topic(model, topic);
    }
    model.scalars.iter().for_each(|scalar| out.scalar(scalar));
    model.enums.iter().for_each(|one| out.one_enum(one));
    for object in &model.objects {
        out.object(model, object);
        out.input(model, object);
    }
    out.text.push_str(&filters::of(model));
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

/// A description for the line before; `indent` before each of its lines.
pub(super) fn described(description: Option<&str>, indent: &str) -> String {
    let Some(text) = description else { return String::new() };
    let escaped = text.replace("\"\"\"", "\\\"\"\"");
    let plain = !text.contains(['"', '\\', '\n', '\r']);
    if plain {
        return format!("{indent}\"{text}\"\n");
    }
    let lines = escaped.lines().map(|line| format!("{indent}{line}\n"));
    format!("{indent}\"\"\"\n{}{indent}\"\"\"\n", lines.collect::<String>())
}

struct Text {
    audience: Audience,
    text: String,
    /// Fields of the roots by their names.
    roots: BTreeMap<&'static str, String>,
}

impl Text {
    fn finish(self) -> String {
        let text = self.text;
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
                format!("{sdl}\n{text}")
            }
            Audience::Composition => {
                let roots = roots.map(|(root, fields)| format!("\ntype {root} {{\n{fields}}}\n"));
                format!("{LINK}{}{}{text}", shared(), roots.collect::<String>())
            }
        }
    }

    fn root(&mut self, root: &'static str, field: &str) {
        self.roots.entry(root).or_default().push_str(field);
    }

    fn topic(&mut self, model: &Model, topic: &TypedTopic) {
        let Some(object) = model.object(&topic.object) else { return };
        let names = Names::of(topic);
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
            placeholders.iter().map(argument).collect()
        };
        let newest =
            if placeholders.is_empty() { String::new() } else { format!("(\n{}  )", each(false)) };
        let description = object.description.as_deref().unwrap_or("A message of this type.");
        let Names { newest: stem, subscription, history, publish, publish_many, .. } = &names;
        let list = each(true);
        self.root(
            "Query",
            &format!(
                "{}  {stem}{newest}: {ty}\n  \"Messages kept of `{template}`, in pages.\"\n  \
                 {history}(\n{list}{HISTORY}    \"Only messages that pass this.\"\n    \
                 where: {ty}Filter\n  ): {ty}Connection!\n",
                described(Some(&format!("The newest message of `{template}`.")), "  ")
            ),
        );
        self.root(
            "Mutation",
            &format!(
                "  \"Publishes to `{template}`, which its fields complete.\"\n  \
                 {publish}(\n    \"The message.\"\n    {input}: {ty}Input!\n{PUBLISH}  ): Receipt!\n  \
                 \"Publishes in order. A refused one is null, and its error has the path.\"\n  \
                 {publish_many}(\"The messages.\" {inputs}: [{ty}Input!]!): [Receipt]!\n",
                input = names.argument,
                inputs = names.arguments,
            ),
        );
        let subscription = format!(
            "{}  {subscription}(\n{list}{SUBSCRIPTION}    \"Only messages that pass this.\"\n    \
             where: {ty}Filter\n{PACE}  ): {ty}!\n",
            described(Some(description), "  ")
        );
        self.root("Subscription", &subscription);
        self.text.push_str(&format!(
            "\n\"A page of `{ty}`, in log order.\"\ntype {ty}Connection {{\n  \
             \"Messages with their cursors.\"\n  edges: [{ty}Edge!]!\n  \"Messages alone.\"\n  \
             nodes: [{ty}!]!\n  \"Where this page stands.\"\n  pageInfo: PageInfo!\n}}\n\
             \n\"A `{ty}` in a page.\"\ntype {ty}Edge {{\n  \"The message.\"\n  node: {ty}!\n  \
             \"The message's cursor.\"\n  cursor: Cursor!\n}}\n"
        ));
    }

    fn scalar(&mut self, scalar: &Scalar) {
        let url = scalar.specified_by.as_ref();
        let url = url.map(|url| format!(" @specifiedBy(url: {})", quoted(url)));
        let line = format!(
            "\n{}scalar {}{}{}\n",
            described(scalar.description.as_deref(), ""),
            scalar.name,
            url.unwrap_or_default(),
            self.federation(&scalar.federation)
        );
        self.text.push_str(&line);
    }

    fn one_enum(&mut self, one: &Enum) {
        let values = one.values.iter().map(|value| {
            let description = described(value.description.as_deref(), "  ");
            format!("{description}  {}{}\n", value.name, deprecated(value.deprecated.as_deref()))
        });
        let text = format!(
            "\n{}enum {}{} {{\n{}}}\n",
            described(one.description.as_deref(), ""),
            one.name,
            self.federation(&one.federation),
            values.collect::<String>()
        );
        self.text.push_str(&text);
    }

    fn object(&mut self, model: &Model, object: &Object) {
        let mut directives = String::new();
        if self.audience == Audience::Composition {
            for key in &object.keys {
                let fields = key.fields.join(" ");
                let end = if key.is_resolvable { "" } else { ", resolvable: false" };
                directives.push_str(&format!(" @key(fields: \"{fields}\"{end})"));
            }
        }
        directives.push_str(&self.federation(&object.federation));
        let field = |field: &Field| {
            format!(
                "{}  {}: {}{}{}\n",
                described(field.description.as_deref(), "  "),
                field.name,
                field.ty,
                deprecated(field.deprecated.as_deref()),
                self.federation(&field.federation)
            )
        };
        let mut fields: String = object.fields.iter().map(field).collect();
        if model.topic(&object.name).is_some() {
            fields.push_str("  \"The message that carried it.\"\n  _message: Message!\n");
        }
        let description = described(object.description.as_deref(), "");
        let text = format!("\n{description}type {}{directives} {{\n{fields}}}\n", object.name);
        self.text.push_str(&text);
    }

    fn input(&mut self, model: &Model, object: &Object) {
        let one_of = if object.is_one_of { " @oneOf" } else { "" };
        let field = |field: &Field| {
            let ty = with_inputs(model, &field.ty);
            format!("{}  {}: {ty}\n", described(field.description.as_deref(), "  "), field.name)
        };
        let fields: String = object.fields.iter().map(field).collect();
        let name = &object.name;
        self.text.push_str(&format!(
            "\n\"What a `{name}` is published with.\"\ninput {name}Input{one_of} {{\n{fields}}}\n"
        ));
    }

    fn entities(&mut self, model: &Model) {
        if self.audience == Audience::Composition || !has_entities(model) {
            return;
        }
        let names: Vec<&str> = entities(model).map(|topic| topic.object.as_str()).collect();
        self.text.push_str(&format!("{ENTITIES}union _Entity = {}\n", names.join(" | ")));
        self.root("Query", ENTITY_FIELDS);
    }

    fn federation(&self, directives: &[String]) -> String {
        match self.audience {
            Audience::Clients => String::new(),
            Audience::Composition => directives.iter().map(|one| format!(" {one}")).collect(),
        }
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

/// The type with inputs in place of objects.
fn with_inputs(model: &Model, ty: &Type) -> String {
    let mark = if ty.nullable { "" } else { "!" };
    match &ty.base {
        BaseType::List(item) => format!("[{}]{mark}", with_inputs(model, item)),
        BaseType::Named(name) if model.object(name).is_some() => format!("{name}Input{mark}"),
        BaseType::Named(name) => format!("{name}{mark}"),
    }
}

fn deprecated(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" @deprecated(reason: {})", quoted(reason))).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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
    blocks.map(|block| format!("\n{}", block.lines().map(share).collect::<String>())).collect()
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

const SUBSCRIPTION: &str = r#"    "First everything after this cursor, then live. \"earliest\" is all that is kept."
    after: Cursor
    "First everything since this time, then live."
    since: DateTime
    "First the newest so many of every matching topic, then live: with 1, current values."
    last: Int
    "First the newest snapshot and what followed it, then live."
    snapshot: Boolean
"#;

const PACE: &str = r#"    "At most so often per key, always ending on the newest."
    maxPerSecond: Float
    "Nothing is sent while the selected fields of a key are what they were."
    distinct: Boolean
"#;

const PUBLISH: &str = r#"    "Idempotency: a second publish with this id gets the first one's receipt."
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
