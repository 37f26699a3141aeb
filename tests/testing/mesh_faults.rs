//! Faults of a mesh.
