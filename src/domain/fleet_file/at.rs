//! Values that know where they stand in a file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::domain::fleet_builder::Place;

/// Line and column, counted from 1.
pub(super) type Position = (u64, u64);

/// A value and where it stands.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct At<T>(Spanned<T>);

/// Where in a file the fields of a fleet are.
#[derive(Default)]
pub(super) struct Places {
    fields: BTreeMap<Place, Position>,
    network: Option<Position>,
    mesh: Option<Position>,
    clusters: Option<Position>,
    each: Vec<Position>,
}

/// A place as line and column; the file's beginning when it is not known.
pub(super) fn position(location: Location) -> Position {
    (location.line().max(1), location.column().max(1))
}

// === impl At ===

impl<T> At<T> {
    /// The value.
    pub(super) fn value(&self) -> &T {
        &self.0.value
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        position(self.0.referenced)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

// === impl Places ===

impl Places {
    /// Remembers where a field is, and returns its value.
    pub(super) fn note<'a, T>(&mut self, place: Place, field: &'a Option<At<T>>) -> Option<&'a T> {
        let field = field.as_ref()?;
        self.field_at(place, field.position());
        Some(field.value())
    }

    /// Remembers where a field is.
    pub(super) fn field_at(&mut self, place: Place, position: Position) {
        self.fields.insert(place, position);
    }

    /// Remembers where the network is.
    pub(super) fn network_at(&mut self, position: Position) {
        self.network = Some(position);
    }

    /// Remembers where the mesh is.
    pub(super) fn mesh_at(&mut self, position: Position) {
        self.mesh = Some(position);
    }

    /// Remembers where the clusters are.
    pub(super) fn clusters_at(&mut self, position: Position) {
        self.clusters = Some(position);
    }

    /// Remembers where the next cluster is.
    pub(super) fn cluster_at(&mut self, position: Position) {
        self.each.push(position);
    }

    /// Where a field is, or what it belongs to when it is a default that nobody wrote.
    pub(super) fn find(&self, place: Place) -> Position {
        let around = match place {
            Place::Network(_) => self.network,
            Place::Cluster(index, _) => self.each.get(index).copied().or(self.clusters),
            Place::Mesh(_) => self.mesh,
            Place::Fleet(_) | Place::MetalLb(_) | Place::Timeouts(_) => None,
        };
        self.fields.get(&place).copied().or(around).unwrap_or((1, 1))
    }
}
