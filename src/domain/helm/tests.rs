//! Tests of rendering as a whole.
