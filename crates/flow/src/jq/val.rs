//! The value expressions work on: JSON with shared contents.
//!
//! Invariant: every array and object knows its own size and depth, and none above the limits can be made, so
//! printing, comparing, converting and dropping a value is always bounded. Not here: arithmetic (`ops`) and
//! paths (`access`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Number, Value};

use super::fuel::{self, CutOff, VALUE_DEPTH_MAX, VALUE_NODES_MAX};

/// A JSON value that is cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) enum Val {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`, kept as it came; arithmetic sees a float.
    Big(u64),
    Float(f64),
    Str(Arc<String>),
    Arr(Arc<Array>),
    Obj(Arc<Object>),
}

/// Members of an object, by name.
pub(crate) type Members = BTreeMap<Arc<String>, Val>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    items: Vec<Val>,
    shape: Shape,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    members: Members,
    shape: Shape,
}

/// Upper bounds of a value's size and depth.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    nodes: u64,
    depth: u32,
}

impl Shape {
    fn of(val: &Val) -> Self {
        match val {
            Val::Str(text) => Self { nodes: 1 + text.len() as u64 / 8, depth: 0 },
            Val::Arr(array) => array.shape,
            Val::Obj(object) => object.shape,
            _ => Self { nodes: 1, depth: 0 },
        }
    }

    fn new() -> Self {
        Self { nodes: 1, depth: 1 }
    }

    fn add(&mut self, val: &Val) {
        let inner = Self::of(val);
        self.nodes += inner.nodes;
        self.depth = self.depth.max(inner.depth + 1);
    }

    fn add_member(&mut self, key: &str, val: &Val) {
        self.nodes += key.len() as u64 / 8;
        self.add(val);
    }

    fn check(self) -> Result<(), CutOff> {
        if self.nodes > VALUE_NODES_MAX {
            return Err(CutOff::Size);
        }
        if self.depth > VALUE_DEPTH_MAX { Err(CutOff::Depth) } else { Ok(()) }
    }
}

impl Array {
    pub(crate) fn items(&self) -> &[Val] {
        &self.items
    }
}

impl Object {
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }
}

impl Val {
    pub(crate) fn str(text: impl Into<String>) -> Self {
        Self::text(Arc::new(text.into()))
    }

    /// Text of any length that a single value may have.
    pub(crate) fn text(text: Arc<String>) -> Self {
        if text.len() as u64 / 8 > VALUE_NODES_MAX {
            fuel::cut_off(CutOff::Size);
            return Self::Null;
        }
        Self::Str(text)
    }

    /// An array; a cut-off makes it null.
    pub(crate) fn arr(items: Vec<Self>) -> Self {
        let mut shape = Shape::new();
        for item in &items {
            shape.add(item);
        }
        match shape.check() {
            Ok(()) => Self::Arr(Arc::new(Array { items, shape })),
            Err(cut) => {
                fuel::cut_off(cut);
                Self::Null
            }
        }
    }

    /// An object; a cut-off makes it null.
    pub(crate) fn obj(members: Members) -> Self {
        let mut shape = Shape::new();
        for (key, val) in &members {
            shape.add_member(key, val);
        }
        match shape.check() {
            Ok(()) => Self::Obj(Arc::new(Object { members, shape })),
            Err(cut) => {
                fuel::cut_off(cut);
                Self::Null
            }
        }
    }

    /// An object of literally named members.
    pub(crate) fn record<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::obj(members.into_iter().map(|(key, val)| (Arc::new(key.to_owned()), val)).collect())
    }

    /// About an eighth of its bytes as JSON; known without looking at it.
    pub(crate) fn weight(&self) -> u64 {
        Shape::of(self).nodes
    }

    pub(crate) fn truthy(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            // a `String` is needed to look up by `Arc<String>` without allocating; small maps are scanned
            Self::Obj(object) if object.members.len() <= 8 => {
                object.members.iter().find(|(name, _)| name.as_str() == key).map(|(_, val)| val)
            }
            Self::Obj(object) => {
                let name = String::from(key);
                object.members.get(&name)
            }
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Big(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Arr(_) => "array",
            Self::Obj(_) => "object",
        }
    }

    /// Takes the items out of an array, charging for the copy when they are shared.
    pub(crate) fn into_items(array: Arc<Array>) -> Vec<Self> {
        match Arc::try_unwrap(array) {
            Ok(array) => array.items,
            Err(shared) => {
                fuel::charge(shared.items.len() as u64);
                shared.items.clone()
            }
        }
    }

    /// Takes the members out of an object, charging for the copy when they are shared.
    pub(crate) fn into_members(object: Arc<Object>) -> Members {
        match Arc::try_unwrap(object) {
            Ok(object) => object.members,
            Err(shared) => {
                fuel::charge(2 * shared.members.len() as u64);
                shared.members.clone()
            }
        }
    }

    /// Appends to an array in place where it is not shared.
    pub(crate) fn append(mut array: Arc<Array>, more: &[Self]) -> Self {
        let charge = if Arc::strong_count(&array) == 1 { 0 } else { array.items.len() };
        if !fuel::charge((charge + more.len()) as u64 + 1) {
            return Self::Null;
        }
        let target = Arc::make_mut(&mut array);
        for item in more {
            target.shape.add(item);
        }
        target.items.extend_from_slice(more);
        Self::Arr(array).checked()
    }

    /// Sets members of an object in place where it is not shared.
    pub(crate) fn insert_all<'a>(
        mut object: Arc<Object>,
        more: impl ExactSizeIterator<Item = (&'a Arc<String>, &'a Self)>,
    ) -> Self {
        let charge = if Arc::strong_count(&object) == 1 { 0 } else { 2 * object.members.len() };
        if !fuel::charge((charge + 2 * more.len()) as u64 + 1) {
            return Self::Null;
        }
        let target = Arc::make_mut(&mut object);
        for (key, val) in more {
            target.insert(key.clone(), val.clone());
        }
        Self::Obj(object).checked()
    }

    fn checked(self) -> Self {
        match Shape::of(&self).check() {
            Ok(()) => self,
            Err(cut) => {
                fuel::cut_off(cut);
                Self::Null
            }
        }
    }

    /// Takes JSON in; `Err` when it is larger or deeper than a value may be.
    pub(crate) fn from_json(value: &Value) -> Result<Self, CutOff> {
        let val = Self::convert(value, 0)?;
        Shape::of(&val).check()?;
        Ok(val)
    }

    fn convert(value: &Value, depth: u32) -> Result<Self, CutOff> {
        if depth > VALUE_DEPTH_MAX {
            return Err(CutOff::Depth);
        }
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::from_number(number),
            Value::String(text) => Self::Str(Arc::new(text.clone())),
            Value::Array(items) => {
                let items =
                    items.iter().map(|item| Self::convert(item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                let mut shape = Shape::new();
                for item in &items {
                    shape.add(item);
                }
                Self::Arr(Arc::new(Array { items, shape }))
            }
            Value::Object(members) => {
                let mut shape = Shape::new();
                let mut target = Members::new();
                for (key, value) in members {
                    let val = Self::convert(value, depth + 1)?;
                    shape.add_member(key, &val);
                    target.insert(Arc::new(key.clone()), val);
                }
                Self::Obj(Arc::new(Object { members: target, shape }))
            }
        })
    }

    fn from_number(number: &Number) -> Self {
        if let Some(int) = number.as_i64() {
            Self::Int(int)
        } else if let Some(big) = number.as_u64() {
            Self::Big(big)
        } else {
            Self::Float(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    /// Gives JSON out. What JSON cannot say becomes what jq prints: null for NaN, the largest number for infinity.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(int) => Value::from(*int),
            Self::Big(big) => Value::from(*big),
            Self::Float(float) if float.is_nan() => Value::Null,
            Self::Float(float) => Value::from(float.clamp(f64::MIN, f64::MAX)),
            Self::Str(text) => Value::String(text.as_str().to_owned()),
            Self::Arr(array) => Value::Array(array.items.iter().map(Self::to_json).collect()),
            Self::Obj(object) => Value::Object(
                object.members.iter().map(|(key, val)| (key.as_str().to_owned(), val.to_json())).collect(),
            ),
        }
    }
}

impl Object {
    fn insert(&mut self, key: Arc<String>, val: Val) {
        self.shape.add_member(&key, &val);
        let nodes = key.len() as u64 / 8;
        if let Some(old) = self.members.insert(key, val) {
            self.shape.nodes = self.shape.nodes.saturating_sub(Shape::of(&old).nodes + nodes);
        }
    }
}
