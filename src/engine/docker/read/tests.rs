//! Recorded answers of both engines.
