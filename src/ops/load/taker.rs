//! A node on its way through a load, and what is told of it in the end.

use super::node::{Presence, Survey};
use super::report::{ImageLoad, LoadOutcome, NodeLoad};
use super::targets::Target;
use super::wanted::Wanted;

/// One node, and what came of it.
pub(super) struct Taker {
    pub(super) target: Target,
    /// For each wanted image; empty when nothing is known beforehand, or after an error.
    pub(super) presence: Vec<Presence>,
    pub(super) survey: Survey,
    /// Names of what it was sent, when nothing was known beforehand.
    pub(super) names: Vec<String>,
    /// Whether it is to be sent something.
    pub(super) lacks: bool,
    pub(super) sent: u64,
    pub(super) error: Option<String>,
}

// === impl Taker ===

impl Taker {
    pub(super) fn new(target: Target) -> Self {
        let error = target.obstacle.clone();
        Self { target, presence: Vec::new(), names: Vec::new(), survey: Survey::default(), lacks: false, sent: 0, error }
    }

    pub(super) fn fail(&mut self, reason: String) {
        self.error = Some(reason);
    }

    pub(super) fn report(&self, wanted: &[Wanted]) -> NodeLoad {
        let known = wanted.iter().zip(&self.presence).flat_map(|(image, presence)| {
            let outcome = match presence {
                Presence::Whole => LoadOutcome::Present,
                Presence::Unnamed if self.error.is_none() => LoadOutcome::Tagged,
                Presence::Missing if !self.lacks => LoadOutcome::Loaded,
                _ => LoadOutcome::Failed,
            };
            image.names.iter().map(move |name| ImageLoad { name: name.clone(), outcome })
        });
        let outcome = if self.lacks { LoadOutcome::Failed } else { LoadOutcome::Loaded };
        let told = self.names.iter().map(|name| ImageLoad { name: name.clone(), outcome });
        NodeLoad {
            cluster: self.target.cluster.clone(),
            node: self.target.node.clone(),
            sent_bytes: self.sent,
            images: known.chain(told).collect(),
            error: self.error.clone(),
        }
    }
}
