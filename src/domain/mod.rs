//! Pure rules: no I/O, no clock, no environment, no async.

pub mod container;
pub mod facts;
pub mod fleet;
pub mod image;
pub mod labels;
pub mod manifest;
pub mod name;
pub mod net;
pub mod version;
