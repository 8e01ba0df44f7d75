//! The schema inside async-graphql, which validates documents and answers introspection.
//!
//! It executes nothing else: its dynamic executor leaves failed fields out of the result where
//! GraphQL asks for null, and takes numbers apart; [`super::node`] does neither.

use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Object, Scalar,
    Schema as DynamicSchema, SchemaBuilder, Subscription, SubscriptionField,
    SubscriptionFieldFuture, TypeRef, Union,
};
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::parser::types::{
    BaseType, ConstDirective, ExecutableDocument, FieldDefinition, InputValueDefinition,
    ServiceDocument, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use async_graphql::{
    CacheControl, Positioned, Request, Response, ServerError, ValidationResult, Value,
    Variables as RawVariables,
};
use futures_util::FutureExt;
use serde_json::value::RawValue;

use super::error::{Code, Error, SchemaError};

/// The schema as async-graphql has it.
#[derive(Debug)]
pub struct Registry {
    schema: DynamicSchema,
}

impl Registry {
    /// Registers what a document declares.
    pub fn new(document: &ServiceDocument) -> Result<Self, SchemaError> {
        let mut builder = DynamicSchema::build("Query", Some("Mutation"), Some("Subscription"));
        for definition in &document.definitions {
            if let TypeSystemDefinition::Type(definition) = definition {
                builder = register(builder, &definition.node);
            }
        }
        let schema = builder.extension(Stages).finish();
        schema.map(|schema| Self { schema }).map_err(|error| SchemaError::Whole(error.to_string()))
    }

    /// Does the document fit the schema?
    pub fn validate(&self, text: &str, ast: &ExecutableDocument) -> Result<(), Vec<Error>> {
        let mut request = Request::new(text).data(Stage::Validate);
        request.set_parsed_query(ast.clone());
        let response = self.run(request);
        if matches!(&response.errors[..], [only] if only.message == VALID) {
            return Ok(());
        }
        let mut errors: Vec<Error> = response.errors.into_iter().map(refused).collect();
        // Two of its rules look for unknown types.
        errors.dedup();
        Err(errors)
    }

    /// The introspection fields of a validated operation, by response key.
    pub fn introspect(
        &self,
        ast: &ExecutableDocument,
        operation: Option<&str>,
        variables: Option<&RawValue>,
    ) -> Vec<(String, String)> {
        let variables = variables.and_then(|json| serde_json::from_str(json.get()).ok());
        let variables = RawVariables::from_json(variables.unwrap_or_default());
        let mut request = Request::new("").variables(variables).data(Stage::Introspect);
        request.operation_name = operation.map(ToOwned::to_owned);
        request.set_parsed_query(ast.clone());
        let Value::Object(fields) = self.run(request).data else { return Vec::new() };
        let text = |value: Value| value.into_json().unwrap_or_default().to_string();
        fields.into_iter().map(|(key, value)| (key.to_string(), text(value))).collect()
    }

    /// Nothing in a schema without resolvers ever waits.
    fn run(&self, request: Request) -> Response {
        let waits = || ServerError::new("the schema did not answer at once", None);
        let response = self.schema.execute(request).now_or_never();
        response.unwrap_or_else(|| Response::from_errors(vec![waits()]))
    }

    /// The SDL that introspection serves.
    #[cfg(test)]
    pub fn sdl(&self) -> String {
        self.schema.sdl()
    }
}

fn refused(error: ServerError) -> Error {
    let locations = error.locations;
    Error { locations, ..Error::new(Code::ValidationFailed, error.message) }
}

/// What a request to the schema is for.
enum Stage {
    Validate,
    Introspect,
}

/// The error that stands for "validated, and not executed".
const VALID: &str = "valid";

/// Stops before the execution what is only to be validated; validates nothing twice.
struct Stages;

impl ExtensionFactory for Stages {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for Stages {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        match context.data_opt::<Stage>() {
            Some(Stage::Introspect) => Ok(ValidationResult {
                cache_control: CacheControl::default(),
                complexity: 0,
                depth: 0,
            }),
            Some(Stage::Validate) | None => {
                next.run(context).await?;
                Err(vec![ServerError::new(VALID, None)])
            }
        }
    }
}

/// Gives a builder its description, if there is one.
macro_rules! described {
    ($builder:expr, $definition:expr) => {
        match &$definition.description {
            Some(text) => $builder.description(text.node.as_str()),
            None => $builder,
        }
    };
}

fn register(builder: SchemaBuilder, definition: &TypeDefinition) -> SchemaBuilder {
    let name = definition.name.node.as_str();
    match &definition.kind {
        TypeKind::Scalar => {
            let scalar = described!(Scalar::new(name), definition);
            builder.register(match specified_by(&definition.directives) {
                Some(url) => scalar.specified_by_url(url),
                None => scalar,
            })
        }
        TypeKind::Enum(values) => {
            let items = values.values.iter().map(|value| {
                let item = EnumItem::new(value.node.value.node.as_str());
                let item = described!(item, value.node);
                match deprecated(&value.node.directives) {
                    Some(reason) => item.deprecation(Some(&reason)),
                    None => item,
                }
            });
            builder.register(described!(Enum::new(name), definition).items(items))
        }
        TypeKind::InputObject(input) => {
            let object = described!(InputObject::new(name), definition);
            let is_one_of = |d: &Positioned<ConstDirective>| d.node.name.node.as_str() == "oneOf";
            let object =
                if definition.directives.iter().any(is_one_of) { object.oneof() } else { object };
            let fields = input.fields.iter().map(|field| input_value(&field.node));
            builder.register(fields.fold(object, InputObject::field))
        }
        TypeKind::Object(object) if name == "Subscription" => {
            let fields = object.fields.iter().map(|field| subscription_field(&field.node));
            let subscription = described!(Subscription::new(name), definition);
            builder.register(fields.fold(subscription, Subscription::field))
        }
        TypeKind::Object(object) => {
            let fields = object.fields.iter().map(|field| object_field(&field.node));
            let object = described!(Object::new(name), definition);
            builder.register(fields.fold(object, Object::field))
        }
        TypeKind::Union(union) => {
            let members = union.members.iter();
            let union = described!(Union::new(name), definition);
            builder.register(
                members.fold(union, |union, member| union.possible_type(member.node.as_str())),
            )
        }
        // `Types` has refused them.
        TypeKind::Interface(_) => builder,
    }
}

fn object_field(definition: &FieldDefinition) -> Field {
    let name = definition.name.node.as_str();
    let field = Field::new(name, type_ref(&definition.ty.node), |_| FieldFuture::Value(None));
    let field = described!(field, definition);
    let field = match deprecated(&definition.directives) {
        Some(reason) => field.deprecation(Some(&reason)),
        None => field,
    };
    let arguments = definition.arguments.iter();
    arguments.fold(field, |field, argument| field.argument(input_value(&argument.node)))
}

fn subscription_field(definition: &FieldDefinition) -> SubscriptionField {
    let name = definition.name.node.as_str();
    let field = SubscriptionField::new(name, type_ref(&definition.ty.node), |_| {
        SubscriptionFieldFuture::new(async {
            Ok(futures_util::stream::empty::<async_graphql::Result<Value>>())
        })
    });
    let field = described!(field, definition);
    let arguments = definition.arguments.iter();
    arguments.fold(field, |field, argument| field.argument(input_value(&argument.node)))
}

fn input_value(definition: &InputValueDefinition) -> InputValue {
    let input = InputValue::new(definition.name.node.as_str(), type_ref(&definition.ty.node));
    let input = described!(input, definition);
    match &definition.default_value {
        Some(default) => input.default_value(default.node.clone()),
        None => input,
    }
}

fn type_ref(ty: &Type) -> TypeRef {
    let base = match &ty.base {
        BaseType::Named(name) => TypeRef::named(name.as_str()),
        BaseType::List(item) => TypeRef::List(Box::new(type_ref(item))),
    };
    if ty.nullable { base } else { TypeRef::NonNull(Box::new(base)) }
}

fn specified_by(directives: &[Positioned<ConstDirective>]) -> Option<String> {
    argument(directives, "specifiedBy", "url")
}

fn deprecated(directives: &[Positioned<ConstDirective>]) -> Option<String> {
    argument(directives, "deprecated", "reason")
}

fn argument(
    directives: &[Positioned<ConstDirective>],
    directive: &str,
    argument: &str,
) -> Option<String> {
    let directive = directives.iter().find(|d| d.node.name.node.as_str() == directive)?;
    match &directive.node.get_argument(argument)?.node {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
