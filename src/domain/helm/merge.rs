//! Values laid over values: of files over each other, over the chart's own, and inside templates.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::value::{Map, Value};

/// Lays `over` on `base` as Helm lays one values file on another: maps are merged key by key, everything
/// else (lists too) is replaced. A `null` stays: it takes the key out of the chart's own values later.
pub fn overlay(base: &mut Json, over: &Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(place) => overlay(place, value),
                    None => drop(base.insert(key.clone(), value.clone())),
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Puts a chart's own values below the user's, as Helm does: a `null` of the user's takes a key out.
pub(super) fn coalesce(user: &mut Json, chart: &Json) {
    let (Json::Object(user), Json::Object(chart)) = (user, chart) else { return };
    for (key, value) in chart {
        match user.get_mut(key) {
            None => drop(user.insert(key.clone(), value.clone())),
            Some(Json::Null) => drop(user.remove(key)),
            // A map and something else: the user's stands.
            Some(own) => coalesce(own, value),
        }
    }
}

/// Merges `from` into `into` in place. With `overwrite` what `from` has wins; without it only what is missing or
/// empty in `into` is taken.
pub(super) fn merge(into: &Map, from: &Map, overwrite: bool) {
    if Rc::ptr_eq(into, from) {
        return;
    }
    let entries: BTreeMap<Rc<str>, Value> = from.borrow().clone();
    for (key, new) in entries {
        let old = into.borrow().get(&key).cloned();
        match (old, new) {
            (Some(Value::Map(old)), Value::Map(new)) if overwrite || !old.borrow().is_empty() => merge(&old, &new, overwrite),
            (Some(old), new) if overwrite || (!old.truth() && !matches!(new, Value::Nil)) => drop(into.borrow_mut().insert(key, new)),
            (Some(_), _) => {}
            (None, Value::Nil) if !overwrite => {}
            (None, new) => drop(into.borrow_mut().insert(key, new)),
        }
    }
}
