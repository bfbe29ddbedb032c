//! Arithmetic, equality and order of values, and their text.
//!
//! Invariant: order is total (NaN is the least number and equals itself) and every operation charges for the
//! work it does. Numbers follow jq: integers stay integers where the result is one, all else is a float.
//! Not here: paths and generators (`access`).

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::ops::Math;

use super::fuel;
use super::val::{Members, Val};

pub(crate) type Error = jaq_core::Error<Val>;
pub(crate) type ValR = Result<Val, Error>;

/// What a cut-off evaluation answers; [`fuel`] holds the real reason.
pub(crate) fn cut() -> Error {
    Error::new(Val::Null)
}

impl Val {
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Big(big) => Some(*big as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// A number; whole ones that a float holds exactly become integers.
    pub(crate) fn number(float: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if float.fract() == 0.0 && float.abs() <= EXACT {
            Self::Int(float as i64)
        } else {
            Self::Float(float)
        }
    }
}

fn arithmetic(
    left: Val,
    op: Math,
    right: Val,
    int: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> ValR {
    if !fuel::charge(1) {
        return Err(cut());
    }
    if let (Val::Int(l), Val::Int(r)) = (&left, &right)
        && let Some(exact) = int(*l, *r)
    {
        return Ok(Val::Int(exact));
    }
    match (left.as_number(), right.as_number()) {
        (Some(l), Some(r)) => Ok(Val::number(float(l, r))),
        _ => Err(Error::math(left, op, right)),
    }
}

fn concat(mut left: Arc<String>, right: &str) -> ValR {
    let copied = if Arc::strong_count(&left) == 1 { 0 } else { left.len() };
    if !fuel::charge_bytes(copied + right.len()) {
        return Err(cut());
    }
    Arc::make_mut(&mut left).push_str(right);
    Ok(Val::text(left))
}

impl Add for Val {
    type Output = ValR;

    fn add(self, right: Self) -> ValR {
        match (self, right) {
            (Self::Null, other) | (other, Self::Null) => fuel::charge(1).then_some(other).ok_or_else(cut),
            (Self::Str(left), Self::Str(right)) => concat(left, &right),
            (Self::Arr(left), Self::Arr(right)) => Ok(Self::append(left, right.items())),
            (Self::Obj(left), Self::Obj(right)) => Ok(Self::insert_all(left, right.members().iter())),
            (left, right) => arithmetic(left, Math::Add, right, i64::checked_add, |l, r| l + r),
        }
    }
}

impl Sub for Val {
    type Output = ValR;

    fn sub(self, right: Self) -> ValR {
        match (self, right) {
            (Self::Arr(left), Self::Arr(right)) => {
                let items =
                    left.items().iter().filter(|item| !right.items().contains(item)).cloned().collect();
                Ok(Self::arr(items))
            }
            (left, right) => arithmetic(left, Math::Sub, right, i64::checked_sub, |l, r| l - r),
        }
    }
}

impl Mul for Val {
    type Output = ValR;

    fn mul(self, right: Self) -> ValR {
        match (self, right) {
            (Self::Str(text), times) | (times, Self::Str(text)) if times.as_number().is_some() => {
                repeat(&text, times.as_number().unwrap_or_default())
            }
            (Self::Obj(left), Self::Obj(right)) => merge(Self::Obj(left), &Self::Obj(right)),
            (left, right) => arithmetic(left, Math::Mul, right, i64::checked_mul, |l, r| l * r),
        }
    }
}

fn repeat(text: &str, times: f64) -> ValR {
    if times.is_nan() || times <= 0.0 {
        return Ok(Val::Null);
    }
    let times = times.max(1.0) as usize; // jq repeats once for anything up to one
    let bytes = text.len().saturating_mul(times);
    if bytes as u64 / 8 > fuel::VALUE_NODES_MAX {
        fuel::cut_off(fuel::CutOff::Size);
        return Err(cut());
    }
    fuel::charge_bytes(bytes).then(|| Val::str(text.repeat(times))).ok_or_else(cut)
}

/// Merges objects recursively; depth is bounded by the depth of values.
fn merge(left: Val, right: &Val) -> ValR {
    let (Val::Obj(left), Val::Obj(right)) = (left, right) else { return Err(cut()) };
    let mut members = Val::into_members(left);
    for (key, val) in right.members() {
        if !fuel::charge(1) {
            return Err(cut());
        }
        let merged = match (members.remove(key), val) {
            (Some(old @ Val::Obj(_)), Val::Obj(_)) => merge(old, val)?,
            _ => val.clone(),
        };
        members.insert(key.clone(), merged);
    }
    Ok(Val::obj(members))
}

impl Div for Val {
    type Output = ValR;

    fn div(self, right: Self) -> ValR {
        match (self, right) {
            (Self::Str(text), Self::Str(separator)) => split(&text, &separator),
            (left, right) if right.as_number() == Some(0.0) => Err(Error::math(left, Math::Div, right)),
            (left, right) => {
                let int = |l: i64, r: i64| (l.checked_rem(r) == Some(0)).then(|| l / r);
                arithmetic(left, Math::Div, right, int, |l, r| l / r)
            }
        }
    }
}

fn split(text: &str, separator: &str) -> ValR {
    if !fuel::charge_bytes(text.len()) {
        return Err(cut());
    }
    let parts: Vec<&str> = match (text.is_empty(), separator.is_empty()) {
        (true, _) => Vec::new(),
        (_, true) => text.split_inclusive(|_: char| true).collect(),
        _ => text.split(separator).collect(),
    };
    let whole = fuel::charge(parts.len() as u64 * 2);
    whole.then(|| Val::arr(parts.into_iter().map(Val::str).collect())).ok_or_else(cut)
}

impl Rem for Val {
    type Output = ValR;

    fn rem(self, right: Self) -> ValR {
        if right.as_number().is_some_and(|r| r.trunc() == 0.0) {
            return Err(Error::math(self, Math::Rem, right));
        }
        arithmetic(self, Math::Rem, right, i64::checked_rem, |l, r| l.trunc() % r.trunc())
    }
}

impl Neg for Val {
    type Output = ValR;

    fn neg(self) -> ValR {
        match self {
            Self::Int(int) => Ok(int.checked_neg().map_or(Self::Float(-(int as f64)), Self::Int)),
            other => match other.as_number() {
                Some(number) => Ok(Self::number(-number)),
                None => Err(Error::typ(other, "number")),
            },
        }
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Str(left), Self::Str(right)) => {
                if Arc::ptr_eq(left, right) || !fuel::charge_bytes(left.len().min(right.len())) {
                    return Ordering::Equal;
                }
                left.cmp(right)
            }
            (Self::Arr(left), Self::Arr(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
            (Self::Arr(left), Self::Arr(right)) => compare(left.items().iter(), right.items().iter()),
            (Self::Obj(left), Self::Obj(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
            (Self::Obj(left), Self::Obj(right)) => compare_objects(left.members(), right.members()),
            _ => self.rank().cmp(&other.rank()).then_with(|| compare_numbers(self, other)),
        }
    }
}

fn compare<'a>(
    mut left: impl Iterator<Item = &'a Val>,
    mut right: impl Iterator<Item = &'a Val>,
) -> Ordering {
    loop {
        if !fuel::charge(1) {
            return Ordering::Equal;
        }
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(l), Some(r)) => match l.cmp(r) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// jq's order of objects: first by the sorted sets of keys, then by value.
fn compare_objects(left: &Members, right: &Members) -> Ordering {
    if !fuel::charge(left.len().min(right.len()) as u64) {
        return Ordering::Equal;
    }
    left.keys().cmp(right.keys()).then_with(|| compare(left.values(), right.values()))
}

fn compare_numbers(left: &Val, right: &Val) -> Ordering {
    match (left, right) {
        (Val::Int(l), Val::Int(r)) => l.cmp(r),
        (Val::Big(l), Val::Big(r)) => l.cmp(r),
        (Val::Int(_), Val::Big(_)) => Ordering::Less,
        (Val::Big(_), Val::Int(_)) => Ordering::Greater,
        (Val::Float(l), Val::Float(r)) => compare_floats(*l, *r),
        (Val::Float(float), whole) => compare_float_whole(*float, whole),
        (whole, Val::Float(float)) => compare_float_whole(*float, whole).reverse(),
        _ => Ordering::Equal,
    }
}

fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
}

/// Exact, so that order stays total for integers a float cannot hold.
fn compare_float_whole(float: f64, whole: &Val) -> Ordering {
    let whole = match whole {
        Val::Int(int) => i128::from(*int),
        Val::Big(big) => i128::from(*big),
        _ => return Ordering::Equal,
    };
    if float.is_nan() {
        return Ordering::Less;
    }
    let floor = float.floor();
    (floor as i128).cmp(&whole).then_with(|| compare_floats(float, floor))
}

impl Val {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Int(_) | Self::Big(_) | Self::Float(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
        }
    }
}

impl fmt::Display for Val {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !fuel::charge(1) {
            return Ok(());
        }
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(flag) => write!(out, "{flag}"),
            Self::Int(int) => write!(out, "{int}"),
            Self::Big(big) => write!(out, "{big}"),
            Self::Float(_) => write!(out, "{}", self.to_json()),
            Self::Str(text) => quoted(text, out),
            Self::Arr(array) => {
                out.write_str("[")?;
                for (index, item) in array.items().iter().enumerate() {
                    out.write_str(if index == 0 { "" } else { "," })?;
                    item.fmt(out)?;
                }
                out.write_str("]")
            }
            Self::Obj(object) => {
                out.write_str("{")?;
                for (index, (key, val)) in object.members().iter().enumerate() {
                    out.write_str(if index == 0 { "" } else { "," })?;
                    quoted(key, out)?;
                    out.write_str(":")?;
                    val.fmt(out)?;
                }
                out.write_str("}")
            }
        }
    }
}

fn quoted(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !fuel::charge_bytes(text.len()) {
        return Ok(());
    }
    out.write_str(&serde_json::to_string(text).unwrap_or_default())
}
