//! The terminal program: reads flags and environment, calls the library, prints.
//!
//! Everything that a library must not do is done here and nowhere else: reading the environment,
//! writing to the standard streams, catching signals.

pub mod args;
pub mod background;
pub mod commands;
pub mod duration;
pub mod env;
pub mod errors;
pub mod evidence;
pub mod exit;
pub mod grid;
pub mod json;
pub mod junit;
pub mod logging;
pub mod output;
pub mod plain;
pub mod progress;
pub mod recorder;
mod run;
pub mod screen;
pub mod session;
pub mod signals;
pub mod span_layer;
pub mod style;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod timings;
pub mod watch;

pub use env::Env;
pub use output::Terminals;
pub use run::run;
