//! stub
use super::fleet::Fleet;
use super::name::*;
/// stub
pub fn schema() -> serde_json::Value {
    serde_json::json!({})
}
/// stub
pub fn parse(_: &str, _: &str) -> Result<Fleet, NameError> {
    Err(NameError::Empty)
}
/// stub
pub fn plain(_: Option<FleetName>, _: u32) -> Result<Fleet, NameError> {
    Err(NameError::Empty)
}
