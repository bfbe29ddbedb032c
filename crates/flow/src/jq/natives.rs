//! Library functions written in Rust, and the choice of those taken from the jq crates.
//!
//! Invariant: nothing here reads a clock, the environment, the system's time zone or an input stream, and
//! every function charges for its work. Not here: functions written in jq (`library`).

use std::cmp::Ordering;
use std::sync::Arc;

use jaq_core::box_iter::box_once;
use jaq_core::data::JustLut;
use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Bind, Exn, Native, RunPtr, ValXs};
use serde_json::Value;

use super::fuel;
use super::ops::{Error, ValR, cut};
use super::val::Val;

pub(crate) type Data = JustLut<Val>;

/// Functions of the jq crates that are replaced here or must not exist in a workflow.
const EXCLUDED: [&str; 12] = [
    "now",
    "env",
    "halt",
    "localtime",
    "strflocaltime",
    "debug_empty",
    "stderr_empty",
    "sort",
    "sort_by",
    "group_by",
    "implode",
    "input",
];

/// Every function an expression may call that is not written in jq.
pub(crate) fn functions() -> Vec<Fun<Data>> {
    let core = jaq_core::funs::<Data>();
    let std = jaq_std::funs::<Data>();
    let taken = core.chain(std).filter(|(name, ..)| !EXCLUDED.contains(name));
    taken.chain(own().into_iter().map(run::<Data>)).chain([tick(), descend()]).collect()
}

/// Steps of a call of a definition, a `,` or a round of a loop.
const CALL_STEPS: u64 = 2;
/// Steps of a recursive call with arguments: it keeps the contexts of all calls before it alive.
const DESCENT_STEPS: u64 = 64;
/// Parts of one path.
const PATH_PARTS_MAX: usize = 4_000;

/// Lets its input pass, or halts, uncatchably, when the budget is used up.
fn tick() -> Fun<Data> {
    let native = Native::new(|cv| if fuel::charge_call(CALL_STEPS) { box_once(Ok(cv.1)) } else { halt() })
        .with_paths(|cv| if step_on_path(cv.1.1.iter().count()) { box_once(Ok(cv.1)) } else { halt() })
        .with_update(|cv, f| if fuel::charge_call(CALL_STEPS) { f(cv.1) } else { halt() });
    ("__tick", v(0), native)
}

fn descend() -> Fun<Data> {
    let native = Native::new(|cv| if fuel::charge_call(DESCENT_STEPS) { box_once(Ok(cv.1)) } else { halt() })
        .with_paths(|cv| if fuel::charge_call(DESCENT_STEPS) { box_once(Ok(cv.1)) } else { halt() })
        .with_update(|cv, f| if fuel::charge_call(DESCENT_STEPS) { f(cv.1) } else { halt() });
    ("__descend", v(0), native)
}

fn step_on_path(parts: usize) -> bool {
    if parts > PATH_PARTS_MAX {
        fuel::cut_off(fuel::CutOff::Depth);
        return false;
    }
    fuel::charge_call(CALL_STEPS + parts as u64 / 8)
}

fn halt<'a, T: 'a>() -> ValXs<'a, T, Val> {
    box_once(Err(Exn::halt(0)))
}

type Own = (&'static str, Box<[Bind]>, RunPtr<Data>);

fn own() -> Vec<Own> {
    vec![
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("tojson", v(0), |cv| bome(Ok(Val::from(cv.1.to_string())))),
        ("fromjson", v(0), |cv| bome(fromjson(&cv.1))),
        ("tonumber", v(0), |cv| bome(tonumber(cv.1))),
        ("contains", v(1), |cv| unary(cv, |left, right| contains(&left, &right).map(Val::Bool))),
        ("has", v(1), |cv| unary(cv, |whole, key| has(&whole, &key))),
        ("indices", v(1), |cv| unary(cv, |whole, part| indices(&whole, &part))),
        ("bsearch", v(1), |cv| unary(cv, |whole, wanted| bsearch(&whole, &wanted))),
        ("join", v(1), |cv| unary(cv, |whole, separator| join(&whole, &separator))),
        ("implode", v(0), |cv| bome(implode(&cv.1))),
        ("sort", v(0), |cv| bome(items(cv.1).and_then(|items| Ok(Val::arr(merge_sort(items, Val::cmp)?))))),
        ("__sorted_pairs", v(0), |cv| bome(sorted_pairs(cv.1).map(Val::arr))),
        ("__grouped_pairs", v(0), |cv| bome(grouped_pairs(cv.1))),
        ("__regex", v(1), |cv| unary(cv, |text, pattern| regex_cost(text, &pattern))),
        ("debug_empty", v(0), nothing),
        ("stderr_empty", v(0), nothing),
    ]
}

fn nothing(_: jaq_core::Cv<'_, Data>) -> ValXs<'_, Val> {
    Box::new(std::iter::empty())
}

fn length(val: &Val) -> ValR {
    match val {
        Val::Null => Ok(Val::Int(0)),
        Val::Str(text) => {
            fuel::charge_bytes(text.len() / 4).then(|| Val::from(text.chars().count())).ok_or_else(cut)
        }
        Val::Arr(array) => Ok(Val::from(array.items().len())),
        Val::Obj(object) => Ok(Val::from(object.members().len())),
        Val::Int(int) => Ok(int.checked_abs().map_or(Val::Float(-(*int as f64)), Val::Int)),
        Val::Big(_) => Ok(val.clone()),
        Val::Float(float) => Ok(Val::number(float.abs())),
        Val::Bool(_) => Err(Error::str(format_args!("{val} has no length"))),
    }
}

fn fromjson(val: &Val) -> ValR {
    let Some(text) = val.as_str() else { return Err(Error::typ(val.clone(), "string")) };
    if !fuel::charge(text.len() as u64 / 4) {
        return Err(cut());
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|error| Error::str(format_args!("invalid JSON: {error}")))?;
    Val::from_json(&parsed).map_err(|reason| Error::str(reason.reason()))
}

fn tonumber(val: Val) -> ValR {
    match &val {
        Val::Int(_) | Val::Big(_) | Val::Float(_) => Ok(val),
        Val::Str(text) => match serde_json::from_str::<serde_json::Number>(text.trim()) {
            Ok(number) => Val::from_json(&Value::Number(number)).map_err(|_| cut()),
            Err(_) => Err(Error::str(format_args!("cannot parse {val} as a number"))),
        },
        _ => Err(Error::typ(val, "number")),
    }
}

fn contains(left: &Val, right: &Val) -> Result<bool, Error> {
    if !fuel::charge(1) {
        return Err(cut());
    }
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => {
            fuel::charge_bytes(left.len()).then(|| left.contains(right.as_str())).ok_or_else(cut)
        }
        (Val::Arr(left), Val::Arr(right)) => {
            all(right.items(), |wanted| any(left.items(), |item| contains(item, wanted)))
        }
        (Val::Obj(left), Val::Obj(right)) => {
            let wanted: Vec<_> = right.members().iter().collect();
            all(&wanted, |(key, wanted)| {
                left.members().get(*key).map_or(Ok(false), |val| contains(val, wanted))
            })
        }
        (left, right) if left.kind() == right.kind() => Ok(left == right),
        _ => Err(Error::str(format_args!(
            "{} and {} cannot be checked for containment",
            left.kind(),
            right.kind()
        ))),
    }
}

fn all<T>(items: &[T], mut test: impl FnMut(&T) -> Result<bool, Error>) -> Result<bool, Error> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(items: &[T], mut test: impl FnMut(&T) -> Result<bool, Error>) -> Result<bool, Error> {
    all(items, |item| test(item).map(|found| !found)).map(|none| !none)
}

fn has(whole: &Val, key: &Val) -> ValR {
    match (whole, key) {
        (Val::Obj(object), Val::Str(key)) => Ok(Val::Bool(object.members().contains_key(key))),
        (Val::Arr(array), Val::Int(index)) => {
            Ok(Val::Bool(usize::try_from(*index).is_ok_and(|index| index < array.items().len())))
        }
        _ => Err(Error::index(whole.clone(), key.clone())),
    }
}

/// Positions of a part: characters of a string, items of an array.
pub(crate) fn indices(whole: &Val, part: &Val) -> ValR {
    match (whole, part) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Str(text), Val::Str(part)) => indices_in_text(text, part),
        (Val::Arr(array), Val::Arr(part))
            if part.items().is_empty() || part.items().len() > array.items().len() =>
        {
            Ok(Val::Arr(Arc::default()))
        }
        (Val::Arr(array), Val::Arr(part)) => {
            let windows = array.items().windows(part.items().len()).enumerate();
            Ok(collect(windows.filter(|(_, window)| *window == part.items()).map(|(index, _)| index)))
        }
        (Val::Arr(array), part) => {
            let items = array.items().iter().enumerate();
            Ok(collect(items.filter(|(_, item)| *item == part).map(|(index, _)| index)))
        }
        _ => Err(Error::index(whole.clone(), part.clone())),
    }
}

fn indices_in_text(text: &str, part: &str) -> ValR {
    if part.is_empty() {
        return Ok(Val::Null);
    }
    if !fuel::charge(text.len() as u64 / 4 + 1)
        || !fuel::charge_bytes(text.len().saturating_mul(part.len()) / 8)
    {
        return Err(cut());
    }
    let starts = text.char_indices().enumerate();
    Ok(collect(starts.filter(|(_, (at, _))| text[*at..].starts_with(part)).map(|(index, _)| index)))
}

/// Collects positions; stops when cut off in the middle.
fn collect(positions: impl Iterator<Item = usize>) -> Val {
    positions.map(Val::from).collect()
}

fn bsearch(whole: &Val, wanted: &Val) -> ValR {
    match whole {
        Val::Arr(array) => Ok(match array.items().binary_search(wanted) {
            Ok(found) => Val::from(found),
            Err(missing) => Val::Int(-1 - missing as i64),
        }),
        _ => Err(Error::typ(whole.clone(), "array")),
    }
}

fn join(whole: &Val, separator: &Val) -> ValR {
    let Val::Arr(array) = whole else { return Err(Error::typ(whole.clone(), "array")) };
    let Some(separator) = separator.as_str() else { return Err(Error::typ(separator.clone(), "string")) };
    let mut joined = String::new();
    for (index, item) in array.items().iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        let before = joined.len();
        match item {
            Val::Null => {}
            Val::Str(text) => joined.push_str(text),
            Val::Arr(_) | Val::Obj(_) => return Err(Error::typ(item.clone(), "string")),
            scalar => joined.push_str(&scalar.to_string()),
        }
        let too_long = joined.len() as u64 / 8 > fuel::VALUE_NODES_MAX;
        if too_long {
            fuel::cut_off(fuel::CutOff::Size);
        }
        if too_long || !fuel::charge_bytes(joined.len() - before + separator.len()) {
            return Err(cut());
        }
    }
    Ok(Val::str(joined))
}

fn implode(val: &Val) -> ValR {
    let Val::Arr(array) = val else { return Err(Error::typ(val.clone(), "array")) };
    let character = |item: &Val| match item {
        Val::Int(code) => u32::try_from(*code).ok().and_then(char::from_u32),
        _ => None,
    };
    let text: Option<String> = array.items().iter().map(character).collect();
    text.map(Val::from).ok_or_else(|| Error::str("not an array of codepoints"))
}

fn items(val: Val) -> Result<Vec<Val>, Error> {
    match val {
        Val::Arr(array) => Ok(Val::into_items(array)),
        other => Err(Error::typ(other, "array")),
    }
}

/// A stable sort that stops when cut off; the standard one may panic when comparisons stop making sense halfway.
fn merge_sort<T>(mut items: Vec<T>, compare: fn(&T, &T) -> Ordering) -> Result<Vec<T>, Error> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = merge_sort(items.split_off(items.len() / 2), compare)?;
    let left = merge_sort(items, compare)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        if !fuel::charge(1) {
            return Err(cut());
        }
        let from_left = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) => compare(l, r) != Ordering::Greater,
            (l, r) if l.is_none() && r.is_none() => return Ok(merged),
            (l, _) => l.is_some(),
        };
        merged.extend(if from_left { left.next() } else { right.next() });
    }
}

/// Sorts pairs `[key, item]` by key.
fn pairs(val: Val) -> Result<Vec<(Val, Val)>, Error> {
    let pair = |pair: Val| match items(pair)?.as_slice() {
        [key, item] => Ok((key.clone(), item.clone())),
        _ => Err(cut()),
    };
    let pairs = items(val)?.into_iter().map(pair).collect::<Result<_, _>>()?;
    merge_sort(pairs, |left: &(Val, Val), right| left.0.cmp(&right.0))
}

fn sorted_pairs(val: Val) -> Result<Vec<Val>, Error> {
    Ok(pairs(val)?.into_iter().map(|(_, item)| item).collect())
}

fn grouped_pairs(val: Val) -> ValR {
    let mut groups: Vec<(Val, Vec<Val>)> = Vec::new();
    for (key, item) in pairs(val)? {
        match groups.last_mut() {
            Some((last, group)) if *last == key => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    Ok(Val::arr(groups.into_iter().map(|(_, group)| Val::arr(group)).collect()))
}

/// Charges for a regular expression before it runs: its size times the length of the text.
fn regex_cost(text: Val, pattern: &Val) -> ValR {
    let (Some(haystack), Some(pattern)) = (text.as_str(), pattern.as_str()) else { return Ok(text) };
    let states = pattern.len() as u64 * repetitions(pattern);
    let steps = states.saturating_mul(haystack.len() as u64 + 64) / 16;
    if fuel::charge(steps) { Ok(text) } else { Err(cut()) }
}

/// The product of all counted repetitions, an upper bound of how often a pattern is unrolled.
fn repetitions(pattern: &str) -> u64 {
    let counts = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let largest =
        counts.map(|count| count.split(',').filter_map(|n| n.trim().parse::<u64>().ok()).max().unwrap_or(1));
    largest.fold(1_u64, |product, count| product.saturating_mul(count.max(1))).min(u64::from(u32::MAX))
}
