//! One file per command: its flags, what it calls, what it prints.

pub mod build;
pub mod completion;
mod described;
pub mod diff;
pub mod doctor;
pub mod down;
pub mod events;
pub mod exec;
pub mod export;
pub mod get;
pub mod graph;
pub mod load;
pub mod mesh;
pub mod mesh_flags;
pub mod network;
pub mod pool;
pub mod prune;
pub mod rest;
pub mod schema;
pub mod status;
pub mod topics;
pub mod up;
pub mod verify;
pub mod version;
