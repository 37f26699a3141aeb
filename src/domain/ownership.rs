//! Whether applying a manifest again would change anything, told from what a server has written down.
//!
//! An API server notes for every manager which fields it owns (`metadata.managedFields`, format `FieldsV1`). Whoever
//! changes a field takes it from its owner. If the manager owns exactly the fields of its manifest, and they have its values,
//! another server-side apply would do nothing but cost: the server merges large objects (definitions with their schemas)
//! in tens of milliseconds, and tells them in one.

use serde_json::{Map, Value};

use super::manifest::is_built_in;

/// Fields that say which object it is; nobody owns them.
const IDENTITY: [&str; 2] = ["apiVersion", "kind"];
const IDENTITY_IN_METADATA: [&str; 2] = ["name", "namespace"];

/// Maps of built-in kinds that have one owner as a whole. Elsewhere a map that is owned as a whole may also be one that was
/// applied empty, of which others own the rest.
const WHOLE_MAPS: [&str; 10] = [
    "configMapKeyRef",
    "fieldRef",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "objectSelector",
    "podSelector",
    "roleRef",
    "secretKeyRef",
    "selector",
];

/// Whether applying `manifest` over `live` would change nothing, if its manager owns `owned` (a `fieldsV1`).
///
/// Wrong only to one side: `false` means that applying would tell. So it is where a server writes a value in another way than
/// the manifest (`1000m` and `1`), or has added something to a value that has one owner as a whole.
///
/// ```
/// # use serde_json::json;
/// use kindmesh::domain::ownership::applied_already;
///
/// let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
/// let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": {"a": "1", "b": "2"}});
/// assert!(applied_already(&manifest, &live, &json!({"f:data": {"f:a": {}}})));
/// assert!(!applied_already(&manifest, &live, &json!({"f:data": {"f:a": {}, "f:b": {}}})), "b would be removed");
/// ```
pub fn applied_already(manifest: &Value, live: &Value, owned: &Value) -> bool {
    let (Some(manifest), Some(owned)) = (manifest.as_object(), owned.as_object()) else { return false };
    let api_version = manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let built_in = is_built_in(api_version.split_once('/').map_or("", |(group, _)| group));
    let mut ours: Map<String, Value> = manifest.clone();
    ours.retain(|name, _| !IDENTITY.contains(&name.as_str()));
    if let Some(Value::Object(metadata)) = ours.get_mut("metadata") {
        metadata.retain(|name, _| !IDENTITY_IN_METADATA.contains(&name.as_str()));
        if metadata.is_empty() {
            ours.remove("metadata");
        }
    }
    map(&ours, live, owned, built_in)
}

/// Every field of a map is owned and has its value, and no other field is owned.
fn map(ours: &Map<String, Value>, live: &Value, owned: &Map<String, Value>, built_in: bool) -> bool {
    children(owned).count() == ours.len()
        && ours.iter().all(|(name, value)| match (live.get(name), owned.get(&format!("f:{name}"))) {
            (Some(live), Some(Value::Object(owned))) => field(name, value, live, owned, built_in),
            (None, Some(_)) => is_empty(value),
            _ => false,
        })
}

fn field(name: &str, ours: &Value, live: &Value, owned: &Map<String, Value>, built_in: bool) -> bool {
    if children(owned).next().is_none() {
        // Owned as a whole. What a manager no longer wants within is in no note, so nothing else may be there.
        let known = ours.as_object().is_none_or(|map| map.is_empty() || (built_in && WHOLE_MAPS.contains(&name)));
        return known && same(live, ours);
    }
    match (ours, live) {
        (Value::Object(ours), Value::Object(_)) => map(ours, live, owned, built_in),
        (Value::Array(ours), Value::Array(live)) => list(ours, live, owned, built_in),
        _ => false,
    }
}

/// A list whose items have owners of their own: items with keys (`k:{"name":"a"}`), or plain values (`v:"a"`). Ours stand in it
/// in our order.
fn list(ours: &[Value], live: &[Value], owned: &Map<String, Value>, built_in: bool) -> bool {
    // Where each of ours stands in the list.
    let mut places = vec![None; ours.len()];
    let all = children(owned).all(|(path, owned)| {
        let place = |index: Option<usize>, at: Option<usize>| match (index, at) {
            (Some(index), Some(at)) => Some((index, at)),
            _ => None,
        };
        if let Some(Ok(value)) = path.strip_prefix("v:").map(serde_json::from_str::<Value>) {
            let found = place(ours.iter().position(|it| *it == value), live.iter().position(|it| *it == value));
            return found.is_some_and(|(index, at)| places[index].replace(at).is_none());
        }
        let Some(Ok(keys)) = path.strip_prefix("k:").map(serde_json::from_str::<Map<String, Value>>) else { return false };
        // The server fills in keys that a manifest may leave out, such as a port's protocol.
        let is = |item: &Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
        let may_be = |item: &Value| keys.iter().all(|(key, value)| item.get(key).is_none_or(|it| it == value));
        let index = ours.iter().position(is).or_else(|| ours.iter().position(may_be));
        let Some((index, at)) = place(index, live.iter().position(is)) else { return false };
        let (Value::Object(item), Value::Object(owned)) = (&ours[index], owned) else { return false };
        places[index].replace(at).is_none() && map(item, &live[at], owned, built_in)
    });
    all && places.iter().all(Option::is_some) && places.is_sorted()
}

/// What a manager owns of something, without the mark for the thing itself.
fn children(owned: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    owned.iter().filter(|(path, _)| *path != ".")
}

/// Whether two values are one; 1 and 1.0 are.
fn same(live: &Value, ours: &Value) -> bool {
    match (live, ours) {
        (Value::Object(live), Value::Object(ours)) => {
            live.len() == ours.len() && ours.iter().all(|(name, value)| live.get(name).is_some_and(|live| same(live, value)))
        }
        (Value::Array(live), Value::Array(ours)) => live.len() == ours.len() && live.iter().zip(ours).all(|(live, ours)| same(live, ours)),
        (Value::Number(live), Value::Number(ours)) if live.is_f64() || ours.is_f64() => live.as_f64() == ours.as_f64(),
        _ => live == ours,
    }
}

/// What servers leave out when they write an object: many fields are only written where they say something. That the field is
/// owned is asked beside it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(ports: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n", "labels": {"a": "b"}},
            "spec": {"type": "ClusterIP", "ports": ports}})
    }

    /// As a server of 1.34 tells it.
    fn owned() -> Value {
        json!({"f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}}, "f:type": {}}})
    }

    fn live() -> Value {
        json!({"metadata": {"name": "s", "namespace": "n", "labels": {"a": "b", "theirs": "1"}, "uid": "u"},
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1",
                "ports": [{"name": "other", "port": 90, "protocol": "TCP"}, {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]}})
    }

    #[test]
    fn what_others_add_beside_it_changes_nothing() {
        assert!(applied_already(&service(json!([{"name": "http", "port": 80}])), &live(), &owned()));
    }

    #[test]
    fn every_difference_is_worth_an_apply() {
        let differ = |manifest: Value, why: &str| assert!(!applied_already(&manifest, &live(), &owned()), "{why}");
        differ(service(json!([{"name": "https", "port": 80}])), "another name of a port");
        differ(service(json!([{"name": "http", "port": 80, "targetPort": 80}])), "a field that is there, but is not ours yet");
        differ(service(json!([{"name": "http", "port": 80}, {"name": "other", "port": 90}])), "an item that is not ours yet");
        differ(service(json!([])), "an item less");
        differ(service(json!(null)), "nothing instead of a list");
        let mut less = service(json!([{"name": "http", "port": 80}]));
        less["metadata"]["labels"] = json!({});
        differ(less, "a label less");
        let mut more = service(json!([{"name": "http", "port": 80}]));
        more["metadata"]["annotations"] = json!({"x": "y"});
        differ(more, "annotations");
        let mut typed = service(json!([{"name": "http", "port": 80}]));
        typed["spec"]["type"] = "LoadBalancer".into();
        differ(typed, "a value");
        let same = service(json!([{"name": "http", "port": 80}]));
        assert!(!applied_already(&same, &live(), &json!({})), "nothing is ours");
        assert!(!applied_already(&same, &live(), &Value::Null), "never applied");
        let mut drifted = live();
        drifted["spec"]["ports"][1]["name"] = "gone".into();
        assert!(!applied_already(&same, &drifted, &owned()), "a value that moved without a new owner");
    }

    #[test]
    fn keys_that_a_manifest_leaves_out_are_the_servers() {
        let owned = json!({"f:spec": {"f:ports": {
            "k:{\"port\":53,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
            "k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}}}}});
        let live = json!({"spec": {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}});
        let of = |ports: Value| applied_already(&json!({"spec": {"ports": ports}}), &live, &owned);
        assert!(of(json!([{"port": 53}, {"port": 53, "protocol": "UDP"}])));
        assert!(!of(json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}])), "a protocol that is not ours yet");
        assert!(!of(json!([{"port": 53}, {"port": 53, "protocol": "SCTP"}])), "another protocol");
    }

    #[test]
    fn sets_and_whole_lists() {
        let object = json!({"metadata": {"finalizers": ["a"]}, "spec": {"args": ["x", 1], "empty": {}, "rules": [{"verbs": ["get"]}]}});
        let owned =
            json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"a\"": {}}}, "f:spec": {"f:args": {}, "f:empty": {}, "f:rules": {}}});
        let live = |args: Value, rule: Value| json!({"metadata": {"finalizers": ["b", "a"]}, "spec": {"args": args, "empty": {}, "rules": [rule]}});
        let get = json!({"verbs": ["get"]});
        assert!(applied_already(&object, &live(json!(["x", 1.0]), get.clone()), &owned));
        assert!(!applied_already(&object, &live(json!([1, "x"]), get.clone()), &owned), "another order");
        assert!(!applied_already(&object, &live(json!(["x", 1, 2]), get.clone()), &owned), "longer");
        let more = json!({"verbs": ["get"], "resourceNames": ["a"]});
        assert!(!applied_already(&object, &live(json!(["x", 1]), more), &owned), "what we no longer want within is in no note");
        assert!(
            !applied_already(&object, &json!({"metadata": {"finalizers": ["b"]}, "spec": object["spec"]}), &owned),
            "no longer in the set"
        );
    }

    #[test]
    fn nothing_added_within_a_whole_is_taken_for_there() {
        let owned = json!({"f:rules": {}});
        for added in [json!(false), json!(0), json!(""), json!([]), json!({}), json!("x")] {
            let object = json!({"rules": [{"verbs": ["get"], "added": added}]});
            assert!(!applied_already(&object, &json!({"rules": [{"verbs": ["get"]}]}), &owned), "{added}");
        }
        let big = |number: u64| json!({"rules": [number]});
        assert!(!applied_already(&big(9_007_199_254_740_993), &big(9_007_199_254_740_992), &owned), "not one number");
    }

    #[test]
    fn the_order_of_ours_among_others_counts() {
        let owned = json!({"f:c": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}});
        let of = |names: &[&str]| json!({"c": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert!(applied_already(&of(&["a", "b"]), &of(&["a", "theirs", "b"]), &owned));
        assert!(!applied_already(&of(&["b", "a"]), &of(&["a", "b"]), &owned), "a variable must stand before its user");
        let owned = json!({"f:s": {"v:1": {}, "v:2": {}}});
        assert!(applied_already(&json!({"s": [1, 2]}), &json!({"s": [1, 3, 2]}), &owned));
        assert!(!applied_already(&json!({"s": [2, 1]}), &json!({"s": [1, 3, 2]}), &owned));
    }

    #[test]
    fn a_map_owned_as_a_whole_may_be_one_that_was_applied_empty() {
        let owned = json!({"f:metadata": {"f:labels": {}}, "f:spec": {"f:selector": {}}});
        let of = |api_version: &str, labels: Value| json!({"apiVersion": api_version, "metadata": {"labels": labels}, "spec": {"selector": {"app": "a"}}});
        let live = |labels: Value| json!({"metadata": {"labels": labels}, "spec": {"selector": {"app": "a"}}});
        assert!(applied_already(&of("v1", json!({})), &live(json!({})), &owned));
        assert!(!applied_already(&of("v1", json!({"a": "b"})), &live(json!({"a": "b"})), &owned), "the label is theirs");
        assert!(!applied_already(&of("example.org/v1", json!({})), &live(json!({})), &owned), "a selector of who knows what kind");
    }

    #[test]
    fn what_says_nothing_is_not_written() {
        let owned = json!({"f:globalDefault": {}, "f:value": {}});
        let of = |global: Value| applied_already(&json!({"globalDefault": global, "value": 7}), &json!({"value": 7}), &owned);
        for nothing in [json!(false), json!(0), json!(""), json!([]), json!({})] {
            assert!(of(nothing.clone()), "{nothing}");
        }
        for something in [json!(true), json!(1), json!("a"), json!([0]), json!({"a": 0}), Value::Null] {
            assert!(!of(something.clone()), "{something}");
        }
    }

    #[test]
    fn anything_else_where_owners_should_stand_is_no_proof() {
        let object = json!({"spec": {"list": [1], "map": {"a": 1}}});
        for owned in [
            json!({"f:spec": {"f:list": {"i:0": {}}, "f:map": {"f:a": {}}}}),
            json!({"f:spec": {"f:list": {"k:no json": {}}, "f:map": {"f:a": {}}}}),
            json!({"f:spec": {"f:list": 1, "f:map": {"f:a": {}}}}),
            json!({"f:spec": {"f:list": {}, "f:map": {"k:{}": {}}}}),
        ] {
            assert!(!applied_already(&object, &object, &owned), "{owned}");
        }
        assert!(applied_already(&object, &object, &json!({"f:spec": {"f:list": {}, "f:map": {"f:a": {}}}})));
    }
}
