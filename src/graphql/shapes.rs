//! Types as the broker needs them: the shape of a payload, and what a subscription relies on.

use rustc_hash::FxHashMap;

use super::select::Selected;
use super::typed::TypedTopic;
use super::types::{Kind, Scalar, Shape as TypeShape, Type, TypeId, Types};
use crate::plan::Uses;
use crate::plan::shape::{FieldShape, Kind as ShapeKind, Leaf, ObjectShape, Shape, ValueShape};

/// The field that stands for the message itself.
pub const MESSAGE: &str = "_message";

/// The shape of payloads of an object type.
pub fn shape(types: &Types, root: TypeId) -> Shape {
    let mut shapes = Shapes { types, places: FxHashMap::default(), objects: Vec::new() };
    let root = shapes.place(root);
    let objects = shapes.objects.into_iter().flatten().collect();
    Shape::new(objects, root)
}

/// What a subscription to a typed topic relies on: its selection, the fields that it tests, and
/// those of which it names values.
pub fn uses(
    types: &Types,
    topic: &TypedTopic,
    subscription: &Selected,
    tested: &[(TypeId, Box<str>)],
) -> Uses {
    let mut fields: Vec<(Box<str>, Box<str>)> = Vec::new();
    selected(types, topic.object, &subscription.selection, &mut fields);
    for name in topic.template.placeholders() {
        if subscription.arguments.iter().any(|(argument, _)| **argument == *name) {
            relied_on(types, topic.object, name, &mut fields);
        }
    }
    for (object, field) in tested {
        relied_on(types, *object, field, &mut fields);
    }
    fields.sort();
    fields.dedup();
    Uses { ty: topic.name.clone(), template: topic.template.as_str().into(), fields: fields.into() }
}

/// A field with its type, as in `Quote.bid` and `Float!`; `None` for those that all types have.
pub fn coordinate(types: &Types, object: TypeId, field: &str) -> Option<(Box<str>, Box<str>)> {
    let ty = &types.field(object, field)?.ty;
    let name = &types.named(object).name;
    (field != MESSAGE).then(|| (format!("{name}.{field}").into(), types.text(ty).into()))
}

/// What a custom type is. A name may stay while what it names becomes something else.
pub fn category(types: &Types, name: &str) -> Option<&'static str> {
    Some(match types.named(types.find(name)?).kind {
        Kind::Enum(_) => "an enum",
        Kind::Scalar(_) => "a scalar",
        Kind::Object(_) => "an object",
        Kind::Input(_) => "an input",
        Kind::Union(_) => "a union",
    })
}

fn relied_on(types: &Types, object: TypeId, field: &str, fields: &mut Vec<(Box<str>, Box<str>)>) {
    let Some(declared) = types.field(object, field) else { return };
    let Some(coordinate) = coordinate(types, object, field) else { return };
    fields.push(coordinate);
    let name = &types.named(declared.ty.innermost()).name;
    fields.extend(category(types, name).map(|category| (name.clone(), category.into())));
}

struct Shapes<'a> {
    types: &'a Types,
    places: FxHashMap<TypeId, usize>,
    /// By place; those being made are not there yet.
    objects: Vec<Option<ObjectShape>>,
}

impl Shapes<'_> {
    fn place(&mut self, object: TypeId) -> usize {
        if let Some(place) = self.places.get(&object) {
            return *place;
        }
        let place = self.objects.len();
        self.places.insert(object, place);
        self.objects.push(None);
        // The input has the fields in their order, and knows whether it is one of them.
        let input = format!("{}Input", self.types.named(object).name);
        let types = self.types;
        let (mut fields, mut is_one_of) = (Vec::new(), false);
        if let Some(Kind::Input(input)) = types.find(&input).map(|id| &types.named(id).kind) {
            is_one_of = input.is_one_of;
            for field in &input.fields {
                let declared = types.field(object, &field.name);
                let value = declared.map(|declared| self.value(&declared.ty));
                fields.extend(value.map(|value| FieldShape { name: field.name.clone(), value }));
            }
        }
        self.objects[place] = Some(ObjectShape { fields, is_one_of });
        place
    }

    fn value(&mut self, ty: &Type) -> ValueShape {
        let kind = match &ty.shape {
            TypeShape::List(item) => ShapeKind::List(Box::new(self.value(item))),
            TypeShape::Named(id) => match &self.types.named(*id).kind {
                Kind::Object(_) => ShapeKind::Object(self.place(*id)),
                Kind::Enum(values) => ShapeKind::Leaf(Leaf::Enum(values.clone())),
                Kind::Scalar(scalar) => ShapeKind::Leaf(leaf(*scalar)),
                // No field of an object is one of these.
                Kind::Input(_) | Kind::Union(_) => ShapeKind::Leaf(Leaf::Any),
            },
        };
        ValueShape { required: ty.required, kind }
    }
}

fn leaf(scalar: Scalar) -> Leaf {
    match scalar {
        Scalar::Int => Leaf::Int,
        Scalar::Float => Leaf::Float,
        Scalar::String => Leaf::String,
        Scalar::DateTime => Leaf::DateTime,
        Scalar::Boolean => Leaf::Boolean,
        Scalar::Id => Leaf::Id,
        Scalar::Json => Leaf::Any,
    }
}

fn selected(
    types: &Types,
    object: TypeId,
    selection: &[Selected],
    fields: &mut Vec<(Box<str>, Box<str>)>,
) {
    for field in selection {
        if &*field.name == MESSAGE {
            continue;
        }
        relied_on(types, object, &field.name, fields);
        if let Some(declared) = types.field(object, &field.name) {
            selected(types, declared.ty.innermost(), &field.selection, fields);
        }
    }
}
