//! The container engine, behind one trait.
//!
//! Everything above speaks [`Engine`] and plain types; one adapter translates them for a real
//! engine, and a recording fake stands beside it.

mod api;
mod error;

pub use api::*;
pub use error::{EngineError, EngineErrorKind, Result};
