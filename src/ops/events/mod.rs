//! What happens to a fleet, told by its API servers and by the engine, in one stream.

mod cluster;
mod event;
mod order;
mod stream;

pub use event::{EventSource, FleetEvent};
pub use stream::{EventOptions, FleetEvents};

#[cfg(test)]
mod tests;
