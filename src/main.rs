//! The `kindmesh` program.
fn main() {}
