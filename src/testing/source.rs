//! Where the engine is, for whoever needs a connection of its own.

use std::path::PathBuf;
use std::sync::Arc;

use super::settings::Settings;
use crate::domain::lease::Owner;
use crate::engine::Engine;
use crate::engine::connect::{ConnectError, connect};
use crate::ops::{Error, ErrorKind, Kindmesh, Result};

/// A way to an engine: each runtime connects anew, since connections move with the runtime they were made in.
#[derive(Clone)]
pub(super) enum Source {
    /// The engine of these settings.
    Found(Arc<Settings>),
    /// This very engine, which needs no runtime.
    #[cfg(test)]
    Given(Arc<dyn Engine>),
}

// === impl Source ===

impl Source {
    /// A connection for the current runtime.
    pub(super) async fn engine(&self) -> Result<Arc<dyn Engine>> {
        match self {
            Self::Found(settings) => connect(&settings.connect).await.map_err(unreachable),
            #[cfg(test)]
            Self::Given(engine) => Ok(engine.clone()),
        }
    }

    /// A handle for the current runtime, for which nothing outlives clusters.
    pub(super) async fn kindmesh(&self) -> Result<Kindmesh> {
        self.kindmesh_of(None, None).await
    }

    /// A handle for the current runtime that works for an owner; what outlives clusters is kept below `state`.
    pub(super) async fn kindmesh_of(&self, owner: Option<Owner>, state: Option<PathBuf>) -> Result<Kindmesh> {
        let mut kindmesh = Kindmesh::new(self.engine().await?);
        if let Some(owner) = owner {
            kindmesh = kindmesh.owned_by(owner);
        }
        if let Some(state) = state {
            kindmesh = kindmesh.state_dir(state);
        }
        match self {
            Self::Found(settings) => {
                if let Some(folder) = &settings.cache {
                    kindmesh = kindmesh.cache_dir(folder.clone());
                }
                if let Some(file) = &settings.registry {
                    kindmesh = kindmesh.registry_config(file.clone());
                }
            }
            #[cfg(test)]
            Self::Given(_) => {}
        }
        Ok(kindmesh)
    }
}

fn unreachable(error: ConnectError) -> Error {
    let told = match &error {
        ConnectError::NoEngine { tried } => tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        _ => String::new(),
    };
    let error = Error::new(ErrorKind::Engine, "no container engine for tests").because(error);
    if told.is_empty() { error } else { error.hint(told) }.hint("start one, or name one with DOCKER_HOST")
}
