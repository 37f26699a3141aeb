//! What was found out about an engine, remembered from one command to the next: probing takes a second or two,
//! and the answer is the same as long as the engine is.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::facts::HostFacts;
use crate::domain::node::Profile;

use super::context::Kindmesh;

/// What is kept, and of whom: another version of the engine is probed anew.
#[derive(Serialize, Deserialize)]
struct Kept {
    engine: String,
    product: String,
    privileges: String,
}

/// The profile that was proved on this engine with nothing asked for; `None` when nothing is known, or there is
/// no cache.
pub(super) fn recall(km: &Kindmesh, facts: &HostFacts) -> Option<Profile> {
    let kept: Kept = serde_json::from_slice(&fs::read(file(km, facts)?).ok()?).ok()?;
    let same = kept.engine == facts.id && kept.product == facts.product;
    same.then(|| Profile::from_label(&kept.privileges)).flatten()
}

/// Remembers it. What cannot be kept is probed again.
pub(super) fn keep(km: &Kindmesh, facts: &HostFacts, profile: &Profile) {
    let Some(file) = file(km, facts) else { return };
    let kept = Kept { engine: facts.id.clone(), product: facts.product.clone(), privileges: profile.to_label() };
    let Ok(text) = serde_json::to_vec(&kept) else { return };
    let written = file.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok()) && {
        // Beside it and renamed: another process may read at this moment.
        let new = file.with_extension(std::process::id().to_string());
        fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).is_ok()
    };
    if !written {
        tracing::debug!(file = %file.display(), "cannot remember what the engine can do");
    }
}

/// Forgets it: it was not so.
pub(super) fn forget(km: &Kindmesh, facts: &HostFacts) {
    if let Some(file) = file(km, facts)
        && let Err(error) = fs::remove_file(&file)
    {
        tracing::debug!(file = %file.display(), %error, "nothing to forget");
    }
}

fn file(km: &Kindmesh, facts: &HostFacts) -> Option<PathBuf> {
    // An engine that does not say who it is cannot be told from others.
    let id = facts.short_id()?;
    Some(km.cache_dir.as_ref()?.join("engines").join(format!("{id}.json")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::Engine as _;
    use crate::engine::fake::FakeEngine;

    #[tokio::test]
    async fn remembered_for_the_same_engine_until_forgotten() {
        let engine = Arc::new(FakeEngine::new());
        let facts = engine.facts().await.unwrap();
        let profile = Profile::Reduced { cap_drop: vec!["BPF".to_owned()] };
        let folder = tempfile::tempdir().unwrap();
        let km = Kindmesh::new(engine.clone()).cache_dir(folder.path().join("new"));
        assert_eq!(recall(&km, &facts), None);
        keep(&km, &facts, &profile);
        assert_eq!(recall(&km, &facts), Some(profile.clone()));
        let newer = HostFacts { product: "another".to_owned(), ..facts.clone() };
        assert_eq!(recall(&km, &newer), None, "another version may do otherwise");
        forget(&km, &facts);
        assert_eq!(recall(&km, &facts), None);
        let (nameless, without) = (HostFacts { id: String::new(), ..facts.clone() }, Kindmesh::new(engine));
        keep(&km, &nameless, &profile);
        keep(&without, &facts, &profile);
        assert_eq!((recall(&km, &nameless), recall(&without, &facts)), (None, None));
    }
}
