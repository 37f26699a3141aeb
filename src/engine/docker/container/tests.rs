//! The create body, field by field.
