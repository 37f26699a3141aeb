//! What would go wrong before anything is created: `doctor`.

mod host;
mod report;
mod run;

pub use report::{Check, DoctorReport};

#[cfg(test)]
mod tests;
