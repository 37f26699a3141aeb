//! Whether applying a manifest again would change anything, told from what a server has written down.
//!
//! An API server notes for every manager which fields it owns (`metadata.managedFields`, format `FieldsV1`). Whoever
//! changes a field takes it from its owner. If the manager owns exactly the fields of its manifest, and they have its values,
//! another server-side apply would do nothing but cost: the server merges large objects (definitions with their schemas)
//! in tens of milliseconds, and tells them in one.

use serde_json::{Map, Value};

/// Fields that say which object it is; nobody owns them.
const IDENTITY: [&str; 2] = ["apiVersion", "kind"];
const IDENTITY_IN_METADATA: [&str; 2] = ["name", "namespace"];

/// Whether applying `manifest` over `live` would change nothing, if its manager owns `owned` (a `fieldsV1`).
///
/// Wrong only to one side: `false` means that applying would tell. So it is where a server writes a value in another way than
/// the manifest (`1000m` and `1`).
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
    let mut ours: Map<String, Value> = manifest.clone();
    ours.retain(|name, _| !IDENTITY.contains(&name.as_str()));
    if let Some(Value::Object(metadata)) = ours.get_mut("metadata") {
        metadata.retain(|name, _| !IDENTITY_IN_METADATA.contains(&name.as_str()));
        if metadata.is_empty() {
            ours.remove("metadata");
        }
    }
    map(&ours, live, owned)
}

/// Every field of a map is owned and has its value, and no other field is owned.
fn map(ours: &Map<String, Value>, live: &Value, owned: &Map<String, Value>) -> bool {
    children(owned).count() == ours.len()
        && ours.iter().all(|(name, value)| match (live.get(name), owned.get(&format!("f:{name}"))) {
            (Some(live), Some(Value::Object(owned))) => field(value, live, owned),
            (None, Some(_)) => is_empty(value),
            _ => false,
        })
}

fn field(ours: &Value, live: &Value, owned: &Map<String, Value>) -> bool {
    if children(owned).next().is_none() {
        // Owned as a whole: a plain value, an empty map, or something that cannot be shared.
        return covers(live, ours);
    }
    match (ours, live) {
        (Value::Object(ours), Value::Object(_)) => map(ours, live, owned),
        (Value::Array(ours), Value::Array(live)) => list(ours, live, owned),
        _ => false,
    }
}

/// A list whose items have owners of their own: items with keys (`k:{"name":"a"}`), or plain values (`v:"a"`).
fn list(ours: &[Value], live: &[Value], owned: &Map<String, Value>) -> bool {
    children(owned).count() == ours.len()
        && children(owned).all(|(path, owned)| {
            if let Some(Ok(value)) = path.strip_prefix("v:").map(serde_json::from_str::<Value>) {
                return ours.contains(&value) && live.contains(&value);
            }
            let Some(Ok(keys)) = path.strip_prefix("k:").map(serde_json::from_str::<Map<String, Value>>) else { return false };
            // The server fills in keys that a manifest may leave out, such as a port's protocol.
            let is = |item: &&Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
            let may_be = |item: &&Value| keys.iter().all(|(key, value)| item.get(key).is_none_or(|it| it == value));
            let ours = ours.iter().find(is).or_else(|| ours.iter().find(may_be));
            match (ours, live.iter().find(is), owned) {
                (Some(Value::Object(ours)), Some(live), Value::Object(owned)) => map(ours, live, owned),
                _ => false,
            }
        })
}

/// What a manager owns of something, without the mark for the thing itself.
fn children(owned: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    owned.iter().filter(|(path, _)| *path != ".")
}

/// Whether everything of `ours` is in `live`, to which a server may have added defaults.
fn covers(live: &Value, ours: &Value) -> bool {
    match (live, ours) {
        (Value::Object(live), Value::Object(ours)) => {
            ours.iter().all(|(name, value)| live.get(name).map_or_else(|| is_empty(value), |live| covers(live, value)))
        }
        (Value::Array(live), Value::Array(ours)) => {
            live.len() == ours.len() && live.iter().zip(ours).all(|(live, ours)| covers(live, ours))
        }
        // 1 and 1.0 are one number.
        (Value::Number(live), Value::Number(ours)) => live == ours || live.as_f64() == ours.as_f64(),
        _ => live == ours,
    }
}

/// What servers leave out when they write an object: many fields are only written where they say something.
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
        let live = |args: Value| json!({"metadata": {"finalizers": ["b", "a"]}, "spec": {"args": args, "empty": {}, "rules": [{"verbs": ["get"], "added": 1}]}});
        assert!(applied_already(&object, &live(json!(["x", 1.0])), &owned));
        assert!(!applied_already(&object, &live(json!([1, "x"])), &owned), "another order");
        assert!(!applied_already(&object, &live(json!(["x", 1, 2])), &owned), "longer");
        assert!(
            !applied_already(&object, &json!({"metadata": {"finalizers": ["b"]}, "spec": object["spec"]}), &owned),
            "no longer in the set"
        );
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
