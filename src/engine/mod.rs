//! The container engine, behind one trait.
//!
//! Everything above speaks [`Engine`] and plain types; one adapter translates them for a real
//! engine, and a recording fake stands beside it.

mod api;
mod attach;
pub mod connect;
mod docker;
mod error;
pub mod fake;
pub mod files;
pub mod registry;

pub use api::*;
pub use attach::{AttachRequest, Attached, AttachedControl, OutputPiece, TerminalSize};
pub use docker::{Deadlines, DockerEngine};
pub use error::{EngineError, EngineErrorKind, Result};
