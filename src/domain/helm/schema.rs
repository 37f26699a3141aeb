//! Values against a chart's schema: what of JSON Schema charts use.
//!
//! A keyword that is not known here is passed over: the schema helps the user, and the templates have the last word.

use serde_json::Value as Json;

/// How often one rule may refer to another.
const MAX_DEPTH: usize = 50;
/// How many faults are told at once.
const MAX_FAULTS: usize = 10;

/// Checks values; all faults in one message, each with its path.
pub(super) fn check(schema: &Json, values: &Json) -> Result<(), String> {
    let mut faults = Vec::new();
    Checker { root: schema, faults: &mut faults }.check(schema, values, &mut String::new(), 0);
    if faults.is_empty() {
        return Ok(());
    }
    let more = faults.len().saturating_sub(MAX_FAULTS);
    faults.truncate(MAX_FAULTS);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(format!("{}{rest}", faults.join("; ")))
}

struct Checker<'a, 'f> {
    root: &'a Json,
    faults: &'f mut Vec<String>,
}

// === impl Checker ===

impl<'a> Checker<'a, '_> {
    fn check(&mut self, rule: &'a Json, value: &Json, path: &mut String, depth: usize) {
        let Some(rule) = rule.as_object().filter(|_| depth < MAX_DEPTH) else {
            if rule == &Json::Bool(false) {
                self.fault(path, "is not allowed");
            }
            return;
        };
        if let Some(target) = rule.get("$ref").and_then(Json::as_str)
            && let Some(target) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer))
        {
            self.check(target, value, path, depth + 1);
        }
        for part in rule.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.check(part, value, path, depth + 1);
        }
        self.any_of(rule.get("anyOf").or(rule.get("oneOf")), value, path, depth);
        if let Some(wanted) = rule.get("type")
            && !is_of(wanted, value)
        {
            let wanted =
                wanted.as_array().map_or_else(|| name_of(wanted), |list| list.iter().map(name_of).collect::<Vec<_>>().join(" or "));
            self.fault(path, &format!("is {}, and has to be {wanted}", kind(value)));
            return;
        }
        if let Some(allowed) = rule.get("enum").and_then(Json::as_array)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Json::to_string).collect();
            self.fault(path, &format!("is {value}, and has to be one of {}", allowed.join(", ")));
        }
        self.entries(rule, value, path, depth);
        if let (Some(rule), Some(items)) = (rule.get("items"), value.as_array()) {
            for (at, item) in items.iter().enumerate() {
                self.below(&at.to_string(), rule, item, path, depth);
            }
        }
    }

    fn entries(&mut self, rule: &'a serde_json::Map<String, Json>, value: &Json, path: &mut String, depth: usize) {
        let Some(entries) = value.as_object() else { return };
        let properties = rule.get("properties").and_then(Json::as_object);
        for name in rule.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if !entries.contains_key(name) {
                self.fault(path, &format!("needs {name}"));
            }
        }
        for (key, value) in entries {
            match (properties.and_then(|properties| properties.get(key)), rule.get("additionalProperties")) {
                (Some(rule), _) => self.below(key, rule, value, path, depth),
                (None, Some(Json::Bool(false))) => self.fault(path, &format!("has a {key}, which is not known")),
                (None, Some(rule)) => self.below(key, rule, value, path, depth),
                (None, None) => {}
            }
        }
    }

    fn any_of(&mut self, rules: Option<&'a Json>, value: &Json, path: &str, depth: usize) {
        let Some(rules) = rules.and_then(Json::as_array) else { return };
        let fits = rules.iter().any(|rule| {
            let mut faults = Vec::new();
            Checker { root: self.root, faults: &mut faults }.check(rule, value, &mut path.to_owned(), depth + 1);
            faults.is_empty()
        });
        if !fits {
            self.fault(path, "fits none of the forms it may have");
        }
    }

    fn below(&mut self, key: &str, rule: &'a Json, value: &Json, path: &mut String, depth: usize) {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        self.check(rule, value, path, depth + 1);
        path.truncate(length);
    }

    fn fault(&mut self, path: &str, message: &str) {
        let path = if path.is_empty() { "the whole" } else { path };
        self.faults.push(format!("{path} {message}"));
    }
}

fn is_of(wanted: &Json, value: &Json) -> bool {
    match wanted {
        Json::Array(list) => list.iter().any(|wanted| is_of(wanted, value)),
        Json::String(wanted) => match wanted.as_str() {
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            _ => true,
        },
        _ => true,
    }
}

fn name_of(wanted: &Json) -> String {
    wanted.as_str().unwrap_or("something else").to_owned()
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
