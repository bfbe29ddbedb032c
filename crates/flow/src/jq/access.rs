//! What the jq interpreter asks of values: construction, iteration, paths and updates.
//!
//! Invariant: everything that yields or collects items takes a step per item, so no generator is endless.
//! Not here: arithmetic and order (`ops`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::{Exn, ValX};

use super::fuel;
use super::ops::{Error, ValR, cut};
use super::val::Val;

type Bounds<'a> = Range<Option<&'a Val>>;

impl From<bool> for Val {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<isize> for Val {
    fn from(int: isize) -> Self {
        Self::Int(int as i64)
    }
}

impl From<usize> for Val {
    fn from(int: usize) -> Self {
        i64::try_from(int).map_or(Self::Big(int as u64), Self::Int)
    }
}

impl From<f64> for Val {
    fn from(float: f64) -> Self {
        Self::number(float)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        fuel::charge_bytes(text.len());
        Self::str(text)
    }
}

impl From<Range<Option<Self>>> for Val {
    fn from(range: Range<Option<Self>>) -> Self {
        let named = [("start", range.start), ("end", range.end)];
        let members =
            named.into_iter().filter_map(|(key, val)| val.map(|val| (Arc::new(key.to_owned()), val)));
        Self::obj(members.collect())
    }
}

impl FromIterator<Self> for Val {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        let mut collected = Vec::new();
        for item in items {
            if !fuel::charge(1) {
                break;
            }
            collected.push(item);
        }
        Self::arr(collected)
    }
}

impl Val {
    /// The whole part of a number that could be a position.
    fn position(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Big(_) => Some(i64::MAX),
            Self::Float(float) if !float.is_nan() => Some(float.floor() as i64),
            _ => None,
        }
    }

    /// Where an index points in a sequence, counted from the end when negative.
    fn offset(&self, len: usize) -> Option<usize> {
        let position = self.position()?;
        let from_start = if position < 0 { position.checked_add(len as i64)? } else { position };
        usize::try_from(from_start).ok().filter(|index| *index < len)
    }

    fn key(&self) -> Result<&Arc<String>, Error> {
        match self {
            Self::Str(key) => Ok(key),
            other => Err(Error::typ(other.clone(), "object key")),
        }
    }
}

/// Absolute bounds of a slice, clipped to the sequence.
fn bounds(range: &Bounds<'_>, len: usize) -> Result<(usize, usize), Error> {
    let bound = |val: Option<&Val>, default: usize, round_up: bool| match val {
        None | Some(Val::Null) => Ok(default),
        Some(Val::Float(float)) if round_up => Ok(clip(float.ceil() as i64, len)),
        Some(val) => match val.position() {
            Some(position) => Ok(clip(position, len)),
            None => Err(Error::typ(val.clone(), "slice bound")),
        },
    };
    let from = bound(range.start, 0, false)?;
    let upto = bound(range.end, len, true)?;
    Ok((from, upto.max(from)))
}

fn clip(position: i64, len: usize) -> usize {
    let absolute = if position < 0 { position.saturating_add(len as i64) } else { position };
    usize::try_from(absolute.max(0)).unwrap_or(usize::MAX).min(len)
}

/// A slice of text by characters.
fn slice_text(text: &str, range: &Bounds<'_>) -> ValR {
    if !fuel::charge_bytes(text.len()) {
        return Err(cut());
    }
    let (from, upto) = bounds(range, text.chars().count())?;
    Ok(Val::str(text.chars().skip(from).take(upto - from).collect::<String>()))
}

/// Yields items while there are steps left, then one error.
fn metered<T: 'static>(items: impl Iterator<Item = T> + 'static) -> impl Iterator<Item = Result<T, Error>> {
    let mut ended = false;
    let mut items = items;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let item = items.next()?;
        if fuel::charge(1) {
            return Some(Ok(item));
        }
        ended = true;
        Some(Err(cut()))
    })
}

impl jaq_core::ValT for Val {
    fn from_num(literal: &str) -> ValR {
        let float: f64 = literal.parse().map_err(Error::str)?;
        Ok(Self::number(float))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR {
        let mut target = BTreeMap::new();
        for (key, val) in members {
            if !fuel::charge(2) {
                return Err(cut());
            }
            target.insert(key.key()?.clone(), val);
        }
        Ok(Self::obj(target))
    }

    fn key_values(self) -> BoxIter<'static, Result<(Self, Self), Error>> {
        match self {
            Self::Arr(array) => {
                let items = Self::into_items(array).into_iter().enumerate();
                Box::new(metered(items.map(|(index, item)| (Self::from(index), item))))
            }
            Self::Obj(object) => {
                let members = Self::into_members(object).into_iter();
                Box::new(metered(members.map(|(key, val)| (Self::Str(key), val))))
            }
            other => Box::new(std::iter::once(Err(Error::typ(other, "iterable (array or object)")))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR>> {
        match self {
            Self::Arr(array) => {
                let len = array.items().len();
                Box::new(metered((0..len).map(move |index| array.items()[index].clone())))
            }
            Self::Obj(object) => Box::new(metered(Self::into_members(object).into_values())),
            other => Box::new(std::iter::once(Err(Error::typ(other, "iterable (array or object)")))),
        }
    }

    fn index(self, index: &Self) -> ValR {
        match (&self, index) {
            (Self::Null, Self::Str(_) | Self::Int(_) | Self::Float(_) | Self::Null) => Ok(Self::Null),
            (Self::Obj(object), Self::Str(key)) => {
                fuel::charge_bytes(key.len() / 4);
                Ok(object.members().get(key).cloned().unwrap_or_default())
            }
            (Self::Arr(array), Self::Int(_) | Self::Float(_)) => {
                Ok(index.offset(array.items().len()).map(|at| array.items()[at].clone()).unwrap_or_default())
            }
            (Self::Arr(_), Self::Arr(_)) => super::natives::indices(&self, index),
            (Self::Arr(_) | Self::Str(_) | Self::Null, Self::Obj(slice)) => {
                let (start, end) = (index.get("start").cloned(), index.get("end").cloned());
                if slice.members().is_empty() {
                    return Err(Error::index(self, index.clone()));
                }
                self.range(start.as_ref()..end.as_ref())
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Bounds<'_>) -> ValR {
        match &self {
            Self::Null => Ok(Self::Null),
            Self::Str(text) => slice_text(text, &range),
            Self::Arr(array) => {
                let (from, upto) = bounds(&range, array.items().len())?;
                let whole = fuel::charge((upto - from) as u64 + 1);
                whole.then(|| Self::arr(array.items()[from..upto].to_vec())).ok_or_else(cut)
            }
            _ => Err(Error::typ(self, "sliceable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Arr(array) => {
                let items = Self::into_items(array).into_iter();
                let mapped = items.flat_map(|item| stepped(f(item))).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::arr(mapped))
            }
            Self::Obj(object) => {
                let mut target = BTreeMap::new();
                for (key, val) in Self::into_members(object) {
                    if let Some(mapped) = stepped(f(val)).next().transpose()? {
                        target.insert(key, mapped);
                    }
                }
                Ok(Self::obj(target))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (Self::Null, Self::Str(_)) => Self::obj(BTreeMap::new()).map_index(index, opt, f),
            (Self::Null, Self::Int(_)) => Self::arr(Vec::new()).map_index(index, opt, f),
            (whole @ (Self::Arr(_) | Self::Null), Self::Obj(_)) => {
                let (start, end) = (index.get("start").cloned(), index.get("end").cloned());
                whole.map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (Self::Obj(object), Self::Str(key)) => {
                let old = object.members().get(key).cloned().unwrap_or_default();
                match stepped(f(old)).next().transpose()? {
                    Some(new) => Ok(Self::insert_all(object, std::iter::once((key, &new)))),
                    None => Ok(remove(object, key)),
                }
            }
            (Self::Arr(array), Self::Int(_) | Self::Float(_)) => map_item(array, index, opt, f),
            (whole, _) => opt.fail(whole, |whole| Exn::from(Error::index(whole, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Bounds<'_>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let array = match self {
            Self::Arr(array) => array,
            Self::Null => return Self::arr(Vec::new()).map_range(range, opt, f),
            other => return opt.fail(other, |other| Exn::from(Error::typ(other, "array"))),
        };
        let (from, upto) = bounds(&range, array.items().len())?;
        let mut items = Self::into_items(array);
        let slice = Self::arr(items[from..upto].to_vec());
        let replacement = match stepped(f(slice)).next().transpose()? {
            Some(Self::Arr(replacement)) => Self::into_items(replacement),
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
            None => Vec::new(),
        };
        items.splice(from..upto, replacement);
        Ok(Self::arr(items))
    }

    fn as_bool(&self) -> bool {
        self.truthy()
    }

    fn into_string(self) -> Self {
        match self {
            Self::Str(_) => self,
            other => Self::str(other.to_string()),
        }
    }
}

fn remove(object: Arc<super::val::Object>, key: &Arc<String>) -> Val {
    let mut members = Val::into_members(object);
    members.remove(key);
    Val::obj(members)
}

/// Replaces one item; past the end the array is filled up with nulls, as in jq.
fn map_item<'a, I: Iterator<Item = ValX<'a, Val>>>(
    array: Arc<super::val::Array>,
    index: &Val,
    opt: Opt,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    let len = array.items().len();
    let position = index.position().unwrap_or_default();
    let absolute = if position < 0 { position + len as i64 } else { position };
    let Ok(at) = usize::try_from(absolute) else {
        let missing = || Exn::from(Error::str(format_args!("index {index} out of bounds")));
        return opt.fail(Val::Arr(array), |_| missing());
    };
    let old = array.items().get(at).cloned().unwrap_or_default();
    let new = stepped(f(old)).next().transpose()?;
    if at >= len && (new.is_none() || !fuel::charge((at - len) as u64)) {
        return if new.is_none() { Ok(Val::Arr(array)) } else { Err(Exn::from(cut())) };
    }
    let mut items = Val::into_items(array);
    match new {
        Some(new) => {
            items.resize(items.len().max(at + 1), Val::Null);
            items[at] = new;
        }
        None => {
            items.remove(at);
        }
    }
    Ok(Val::arr(items))
}

/// Results of an update function, a step each; uncatchable once the steps are used up.
fn stepped<'a, I: Iterator<Item = ValX<'a, Val>>>(results: I) -> impl Iterator<Item = ValX<'a, Val>> {
    results.map(|result| if fuel::charge(1) { result } else { Err(Exn::halt(0)) })
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Arr(array) => Ok(Self::into_items(array).into_iter().collect()),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Big(_))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(int) => isize::try_from(*int).ok(),
            Self::Float(float) if float.fract() == 0.0 => Some(*float as isize),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_number()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let text = self.as_str()?;
        fuel::charge_bytes(text.len() / 4);
        Some(text.as_bytes())
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::from(String::from_utf8_lossy(part).into_owned())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::from(String::from_utf8_lossy(bytes.as_ref()).into_owned())
    }
}
