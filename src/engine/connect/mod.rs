//! Finding an engine the way the docker command does, and connecting to it.
//!
//! [`ConnectOptions`] hold everything that decides (flags, variables, folders) as plain data: the
//! library itself looks at no environment. [`candidates`] makes endpoints of them, reading Docker's
//! configuration and contexts; [`connect`] tries these in order.

mod context;
mod dial;
mod endpoint;
mod error;
mod options;
mod resolve;

pub use dial::connect;
pub use endpoint::{Endpoint, TlsMaterial};
pub use error::{Attempt, ConnectError};
pub use options::ConnectOptions;
pub use resolve::{Candidate, candidates};
