//! Things that are switched on or off, or described: `true`, `false` or a mapping.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::at::At;

/// Whether something is there, or how.
pub(super) enum SwitchOr<T> {
    Switch(bool),
    Settings(Box<T>),
    /// Neither, in words: refused by who knows where it stands.
    Wrong(String),
}

struct SwitchVisitor<T>(PhantomData<T>);

/// Reads a field whose presence alone says something: a key without a value counts.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<At<SwitchOr<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    At::deserialize(deserializer).map(Some)
}

// === impl SwitchOr ===

impl<T> SwitchOr<T> {
    fn wrong(found: &dyn fmt::Debug) -> Self {
        SwitchOr::Wrong(format!("{found:?} is neither true nor false nor a mapping"))
    }
}

// By hand: what serde derives for "either" forgets where things stand.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for SwitchOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for SwitchVisitor<T> {
    type Value = SwitchOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a mapping")
    }

    fn visit_unit<E: de::Error>(self) -> Result<SwitchOr<T>, E> {
        Ok(SwitchOr::Switch(true))
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<SwitchOr<T>, E> {
        Ok(SwitchOr::Switch(on))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SwitchOr<T>, E> {
        Ok(SwitchOr::wrong(&number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<SwitchOr<T>, E> {
        Ok(SwitchOr::wrong(&number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SwitchOr<T>, E> {
        Ok(SwitchOr::wrong(&text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SwitchOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|settings| SwitchOr::Settings(Box::new(settings)))
    }
}

impl<T: JsonSchema> JsonSchema for SwitchOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrSwitch", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings = generator.subschema_for::<T>();
        json_schema!({"oneOf": [{"type": "boolean"}, settings]})
    }
}
