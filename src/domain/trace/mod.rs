//! Where the time of a command went: what was recorded, and the pictures made of it.

mod chrome;
mod lanes;
mod longest;
mod node_record;
mod svg;
mod timeline;

#[cfg(test)]
mod tests;

pub use chrome::chrome;
pub use longest::{Stretch, longest};
pub use node_record::{NodeMoment, node_moments};
pub use svg::svg;
pub use timeline::{Moment, Span, SpanKind, Timeline};
