//! Istio for one member of a mesh: values for its charts, the objects they have to yield, and what
//! stands around them.

mod charts;
mod error;
mod expected;
mod gateway;
mod install;
mod objects;
mod operator;
mod source;
mod values;

pub use charts::{Charts, ChartsError};
pub use error::InstallError;
pub use gateway::GatewayKind;
pub use install::{GatewayObjects, Install, install};
pub use objects::{CROSS_NETWORK_GATEWAY, NETWORK_LABEL};
pub use operator::{Operator, OperatorError};
pub use source::{PerChart, Repository, RepositoryError, is_this_machine};
pub use values::{ChartValues, Member, ValuesError, chart_values, user_values};

#[cfg(test)]
mod tests;
