//! Documents, parsed and validated once per text.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
};
use async_graphql::parser::{Error as ParseError, parse_query};
use async_graphql::{Name, Positioned};
use async_graphql_value::{ConstValue, Value};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::definition::Definition;
use super::error::{Code, Error, Segment};
use super::fault::Payload;
use super::limits::{self, Limits};
use super::positions;
use super::select::{self, Collector};
use super::typed::Typed;
use super::types::{TypeId, Types};
use super::variables::{Declaration, Variables};

/// The fragments of a document by name.
pub type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// A document that fits the schema.
#[derive(Debug)]
pub struct Document {
    /// What it holds.
    pub ast: ExecutableDocument,
    operations: Vec<Operation>,
}

/// One operation of a document.
#[derive(Debug)]
pub struct Operation {
    /// The name; `None` when it is anonymous.
    pub name: Option<Name>,
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// What its variables are.
    pub variables: Vec<Declaration>,
    definition: Positioned<OperationDefinition>,
    /// The type of the root.
    pub root: TypeId,
    /// The fields, when they are the same whatever the variables.
    fields: OnceLock<Arc<select::Selection>>,
}

/// Documents that were used lately.
pub struct Documents {
    cache: Cache<Box<str>, Arc<Document>, ByBytes>,
    limits: Limits,
}

impl Documents {
    /// An empty cache for so many bytes of documents.
    pub fn new(bytes: u64, limits: Limits) -> Self {
        const USUAL_BYTES: u64 = 300 * TREE_BYTES;
        let items = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX);
        Self { cache: Cache::with_weighter(items, bytes, ByBytes), limits }
    }

    /// The document with this text, or all that is wrong with it.
    pub fn get(&self, text: &str, definition: &Definition) -> Result<Arc<Document>, Vec<Error>> {
        if let Some(document) = self.cache.get(text) {
            return Ok(document);
        }
        limits::check_text(text).map_err(|error| vec![error])?;
        let ast = parse_query(text).map_err(|error| vec![syntax(&error)])?;
        limits::check(&ast, self.limits).map_err(|error| vec![error])?;
        definition.registry.validate(text, &ast)?;
        let document = Arc::new(Document::new(ast, &definition.types, &definition.typed)?);
        self.cache.insert(text.into(), document.clone());
        Ok(document)
    }
}

impl Document {
    fn new(ast: ExecutableDocument, types: &Types, typed: &Typed) -> Result<Self, Vec<Error>> {
        let operations = ast.operations.iter().filter_map(|(name, definition)| {
            let kind = definition.node.ty;
            let root = match kind {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            let variables = variables(&definition.node, types, typed);
            let (definition, root) = (definition.clone(), types.find(root)?);
            let fields = OnceLock::new();
            Some(Operation { name: name.cloned(), kind, variables, definition, root, fields })
        });
        let operations: Vec<Operation> = operations.collect();
        let errors = operations.iter().flat_map(|operation| {
            let set = &operation.definition.node.selection_set.node;
            positions::check(types, &ast.fragments, &operation.variables, operation.root, set)
        });
        let errors: Vec<Error> = errors.collect();
        if errors.is_empty() { Ok(Self { ast, operations }) } else { Err(errors) }
    }

    /// The operation that a request means.
    pub fn operation(&self, name: Option<&str>) -> Result<&Operation, Error> {
        let bad = |message: String| Error::new(Code::BadRequest, message);
        match (name, self.operations.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(bad(
                "Must provide operation name if query contains multiple operations.".into(),
            )),
            (Some(name), operations) => operations
                .iter()
                .find(|operation| operation.name.as_deref() == Some(name))
                .ok_or_else(|| bad(format!("Unknown operation named \"{name}\"."))),
        }
    }

    /// The fields of an operation for these variables.
    pub fn fields(
        &self,
        operation: &Operation,
        types: &Types,
        variables: &Variables<'_>,
    ) -> Result<Arc<select::Selection>, Error> {
        if let Some(fields) = operation.fields.get() {
            return Ok(fields.clone());
        }
        let mut collector = Collector::new(types, &self.ast.fragments, variables);
        let set = &operation.definition.node.selection_set.node;
        let fields = Arc::new(collector.collect(operation.root, &[set])?);
        if collector.depends_on_variables {
            return Ok(fields);
        }
        Ok(operation.fields.get_or_init(|| fields).clone())
    }
}

fn variables(operation: &OperationDefinition, types: &Types, typed: &Typed) -> Vec<Declaration> {
    let definitions = operation.variable_definitions.iter().filter_map(|definition| {
        let default = definition.node.default_value.as_ref();
        let name = definition.node.name.node.as_str();
        Some(Declaration {
            name: name.into(),
            place: place(operation, typed, name),
            // Validation has found the types of all variables.
            ty: types.resolve(&definition.node.var_type.node)?,
            ty_text: definition.node.var_type.node.to_string().into(),
            default: default.map(|value| ConstValue::into_value(value.node.clone())),
            position: definition.pos,
        })
    });
    definitions.collect()
}

/// Where a variable stands in the arguments of a field of the root, alone or within a literal.
fn place(
    operation: &OperationDefinition,
    typed: &Typed,
    variable: &str,
) -> Option<(Vec<Segment>, Payload)> {
    let fields = operation.selection_set.node.items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(&field.node),
        // Written so by nobody: what is wrong there counts as a wrong argument.
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    });
    let mut places = fields.filter_map(|field| {
        let mut arguments = field.arguments.iter();
        let path = arguments.find_map(|(name, value)| {
            within(vec![Segment::Key(name.node.as_str().into())], &value.node, variable)
        })?;
        Some((path, typed.payload(operation.ty, &field.name.node)))
    });
    places.next()
}

fn within(path: Vec<Segment>, value: &Value, variable: &str) -> Option<Vec<Segment>> {
    let inner = |step: Segment, value: &Value| {
        let mut inner = path.clone();
        inner.push(step);
        within(inner, value, variable)
    };
    match value {
        Value::Variable(used) => (**used == *variable).then_some(path),
        Value::List(items) => {
            items.iter().enumerate().find_map(|(index, item)| inner(Segment::Index(index), item))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(name, value)| inner(Segment::Key(name.as_str().into()), value))
        }
        _ => None,
    }
}

fn syntax(error: &ParseError) -> Error {
    let text = error.to_string();
    // The parser draws the place; its last line says what it expected there.
    let expected = text.lines().rev().find_map(|line| line.trim().strip_prefix("= "));
    let message = format!("Syntax Error: {}", expected.unwrap_or(&text));
    let mut positions = error.positions();
    let refused = Error::new(Code::ParseFailed, message);
    match positions.next() {
        Some(position) => refused.at(position),
        None => refused,
    }
}

/// Bytes of a document's tree for each byte of its text, at most: fields of one letter are the
/// worst, long lists of digits come next.
const TREE_BYTES: u64 = 128;

/// A document weighs its tree.
#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Box<str>, Arc<Document>> for ByBytes {
    fn weight(&self, text: &Box<str>, _: &Arc<Document>) -> u64 {
        text.len() as u64 * TREE_BYTES
    }
}
