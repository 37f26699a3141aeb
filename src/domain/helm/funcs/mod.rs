//! The functions that templates may call: Go's own and those of Helm that charts in use call.

mod args;
mod convert;
mod flow;
mod lists;
mod logic;
mod maps;
mod table;
mod text;

pub(super) use table::{call, is_known};
