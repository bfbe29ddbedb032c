//! Values in snapshots: read and written as plain JSON without a detour.
//!
//! Invariant: what is written is read back equal. Not here: conversion from and to `serde_json::Value` (`val`).

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::val::{Members, Val};

impl Serialize for Val {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Big(big) => serializer.serialize_u64(*big),
            Self::Float(float) if float.is_nan() => serializer.serialize_unit(),
            Self::Float(float) => serializer.serialize_f64(float.clamp(f64::MIN, f64::MAX)),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Arr(array) => serializer.collect_seq(array.items()),
            Self::Obj(object) => {
                serializer.collect_map(object.members().iter().map(|(key, val)| (key.as_str(), val)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Val {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVal)
    }
}

struct AnyVal;

impl<'de> Visitor<'de> for AnyVal {
    type Value = Val;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_none<E>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Val, E> {
        Ok(Val::Bool(flag))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Val, E> {
        Ok(Val::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Val, E> {
        Ok(i64::try_from(int).map_or(Val::Big(int), Val::Int))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Val, E> {
        Ok(Val::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Val, E> {
        Ok(Val::Str(Arc::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Val, E> {
        Ok(Val::Str(Arc::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Val, A::Error> {
        let mut collected = Vec::new();
        while let Some(item) = items.next_element()? {
            collected.push(item);
        }
        Ok(Val::arr(collected))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Val, A::Error> {
        let mut collected = Members::new();
        while let Some((key, val)) = members.next_entry::<String, Val>()? {
            collected.insert(Arc::new(key), val);
        }
        Ok(Val::obj(collected))
    }
}
