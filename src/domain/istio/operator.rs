//! `IstioOperator` files, translated into values.

use serde_json::Value;

/// What an `IstioOperator` file asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    values: Value,
}

/// Why an `IstioOperator` file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("IstioOperator: {path}: {message}")]
pub struct OperatorError {
    /// Path of the field.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

// === impl Operator ===

impl Operator {
    /// Its values, as [`user_values`](super::user_values) takes them.
    pub fn values(&self) -> &Value {
        &self.values
    }
}
