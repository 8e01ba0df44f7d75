//! The schema as data: what the SDL declares, with names resolved to indices.

use async_graphql::parser::types::{
    self as ast, BaseType, FieldDefinition, InputValueDefinition, ServiceDocument, TypeKind,
    TypeSystemDefinition,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::{ConstValue, Value as Literal};
use rustc_hash::FxHashMap;

use super::error::SchemaError;

/// All types of a schema.
#[derive(Debug)]
pub struct Types {
    named: Vec<Named>,
    index: FxHashMap<Box<str>, TypeId>,
}

/// Index of a named type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(usize);

/// A type with its name.
#[derive(Debug)]
pub struct Named {
    /// The name.
    pub name: Box<str>,
    /// What it is.
    pub kind: Kind,
}

/// What a named type is.
#[derive(Debug)]
pub enum Kind {
    /// A leaf.
    Scalar(Scalar),
    /// One of these names.
    Enum(Box<[Box<str>]>),
    /// An input object.
    Input(Inputs),
    /// An object of the output.
    Object(FxHashMap<Box<str>, Field>),
    /// One of these objects.
    Union(Box<[TypeId]>),
}

/// How a scalar's values look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `Int`: 32 bits.
    Int,
    /// `Float`: a double.
    Float,
    /// `String`, and scalars of ours that are written as strings.
    String,
    /// `DateTime`: RFC 3339, kept in UTC to the microsecond.
    DateTime,
    /// `Boolean`
    Boolean,
    /// `ID`: a string or an integer.
    Id,
    /// Any JSON.
    Json,
}

/// A type with its list and non-null wrappers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// Null is not allowed.
    pub required: bool,
    /// What it is when it is not null.
    pub shape: Shape,
}

/// A type but for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A named type.
    Named(TypeId),
    /// A list.
    List(Box<Type>),
}

/// The fields of an input object.
#[derive(Debug)]
pub struct Inputs {
    /// The fields in order.
    pub fields: Box<[Input]>,
    /// `@oneOf`: exactly one is given, and it is not null.
    pub is_one_of: bool,
}

/// An argument, or a field of an input object.
#[derive(Debug)]
pub struct Input {
    /// The name.
    pub name: Box<str>,
    /// The type.
    pub ty: Type,
    /// The value when none is given.
    pub default: Option<Literal>,
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// The type.
    pub ty: Type,
    /// The arguments.
    pub arguments: Box<[Input]>,
}

const BUILT_IN: [(&str, Scalar); 5] = [
    ("Int", Scalar::Int),
    ("Float", Scalar::Float),
    ("String", Scalar::String),
    ("Boolean", Scalar::Boolean),
    ("ID", Scalar::Id),
];

impl Types {
    /// The types that a document declares.
    pub fn new(document: &ServiceDocument) -> Result<Self, SchemaError> {
        let declared: Vec<&ast::TypeDefinition> = document
            .definitions
            .iter()
            .filter_map(|definition| match definition {
                TypeSystemDefinition::Type(definition) => Some(&definition.node),
                TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
            })
            .collect();
        let names = BUILT_IN.iter().map(|(name, _)| *name);
        let names = names.chain(declared.iter().map(|definition| definition.name.node.as_str()));
        let mut types = Self {
            named: Vec::new(),
            index: names.enumerate().map(|(at, name)| (name.into(), TypeId(at))).collect(),
        };
        for (name, scalar) in BUILT_IN {
            types.named.push(Named { name: name.into(), kind: Kind::Scalar(scalar) });
        }
        for definition in declared {
            let kind = types.kind(definition)?;
            types.named.push(Named { name: definition.name.node.as_str().into(), kind });
        }
        Ok(types)
    }

    /// A type by its index.
    pub fn named(&self, id: TypeId) -> &Named {
        &self.named[id.0]
    }

    /// A type by its name.
    pub fn find(&self, name: &str) -> Option<TypeId> {
        self.index.get(name).copied()
    }

    /// A type as a document writes it; `None` when its name is not declared.
    pub fn resolve(&self, ty: &ast::Type) -> Option<Type> {
        let shape = match &ty.base {
            BaseType::Named(name) => Shape::Named(self.find(name)?),
            BaseType::List(item) => Shape::List(Box::new(self.resolve(item)?)),
        };
        Some(Type { required: !ty.nullable, shape })
    }

    /// A field of an object type.
    pub fn field(&self, parent: TypeId, name: &str) -> Option<&Field> {
        match &self.named(parent).kind {
            Kind::Object(fields) => fields.get(name),
            Kind::Scalar(_) | Kind::Enum(_) | Kind::Input(_) | Kind::Union(_) => None,
        }
    }

    /// A type as a document would write it.
    pub fn text(&self, ty: &Type) -> String {
        let mark = if ty.required { "!" } else { "" };
        match &ty.shape {
            Shape::Named(id) => format!("{}{mark}", self.named(*id).name),
            Shape::List(item) => format!("[{}]{mark}", self.text(item)),
        }
    }

    fn kind(&self, definition: &ast::TypeDefinition) -> Result<Kind, SchemaError> {
        match &definition.kind {
            TypeKind::Scalar => Ok(Kind::Scalar(match definition.name.node.as_str() {
                "Cursor" => Scalar::String,
                "DateTime" => Scalar::DateTime,
                _ => Scalar::Json,
            })),
            TypeKind::Enum(values) => {
                let names = values.values.iter().map(|value| value.node.value.node.as_str().into());
                Ok(Kind::Enum(names.collect()))
            }
            TypeKind::InputObject(input) => {
                let owner = definition.name.node.as_str();
                let fields = input.fields.iter().map(|field| &field.node);
                let mut directives = definition.directives.iter();
                Ok(Kind::Input(Inputs {
                    fields: self.inputs(owner, fields)?,
                    is_one_of: directives.any(|d| d.node.name.node.as_str() == "oneOf"),
                }))
            }
            TypeKind::Object(object) => {
                let fields = object.fields.iter().map(|field| self.object_field(&field.node));
                Ok(Kind::Object(fields.collect::<Result<_, _>>()?))
            }
            TypeKind::Union(union) => {
                let member = |name: &Positioned<Name>| {
                    self.find(&name.node).ok_or_else(|| SchemaError::UnknownType {
                        name: name.node.to_string(),
                        owner: definition.name.node.to_string(),
                        position: name.pos,
                    })
                };
                Ok(Kind::Union(union.members.iter().map(member).collect::<Result<_, _>>()?))
            }
            TypeKind::Interface(_) => {
                let name = definition.name.node.to_string();
                Err(SchemaError::Abstract { name, position: definition.name.pos })
            }
        }
    }

    fn object_field(&self, field: &FieldDefinition) -> Result<(Box<str>, Field), SchemaError> {
        let name = field.name.node.as_str();
        let arguments = self.inputs(name, field.arguments.iter().map(|argument| &argument.node))?;
        let ty = self.declared(name, &field.ty)?;
        Ok((name.into(), Field { ty, arguments }))
    }

    fn inputs<'a>(
        &self,
        owner: &str,
        inputs: impl Iterator<Item = &'a InputValueDefinition>,
    ) -> Result<Box<[Input]>, SchemaError> {
        let input = |input: &InputValueDefinition| {
            let default = input.default_value.as_ref().map(|value| value.node.clone());
            let default = default.map(ConstValue::into_value);
            let ty = self.declared(owner, &input.ty)?;
            Ok(Input { name: input.name.node.as_str().into(), ty, default })
        };
        inputs.map(input).collect()
    }

    fn declared(&self, owner: &str, ty: &Positioned<ast::Type>) -> Result<Type, SchemaError> {
        self.resolve(&ty.node).ok_or_else(|| SchemaError::UnknownType {
            name: ty.node.to_string(),
            owner: owner.to_owned(),
            position: ty.pos,
        })
    }
}

impl Type {
    /// The named type inside all wrappers.
    pub fn innermost(&self) -> TypeId {
        match &self.shape {
            Shape::Named(id) => *id,
            Shape::List(item) => item.innermost(),
        }
    }
}
