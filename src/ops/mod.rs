//! Fleets: made, shown, removed.
//!
//! Every step is written as "ensure": it looks at what is there, does what is missing, and has its
//! undo beside it. Labels on containers and networks are the only memory, so a step that was
//! interrupted anywhere is finished by running it again.

mod context;
mod error;
mod report;
mod stub;
pub use report::*;

pub use crate::domain::proxy::ProxySettings;
pub use context::{Kindmesh, KubeconfigTarget};
pub use error::{Error, ErrorKind, Result};
