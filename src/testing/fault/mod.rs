//! Faults: parts of a fleet cut, frozen and killed, each with a way back that is always taken.

mod component;
mod guard;
mod nodes;
mod rules;
mod slow;
mod token;

pub use component::Component;
pub use guard::Fault;

pub(super) use guard::heal;
