//! What one node is sent, and in which form.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::oci::chain_ids;

use super::node::Survey;
use super::wanted::Wanted;

/// How a node takes images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Layers are unpacked as they come.
    Unpack,
    /// containerd imports an OCI layout: slower, and right for everything.
    Import,
}

/// A layer as far as it is known when its bytes begin to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LayerName {
    /// Digest of its content, unpacked.
    pub(super) diff_id: Option<String>,
    /// Digest of the bytes that come.
    pub(super) digest: Option<String>,
}

/// A snapshot to be made of an unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// Name of the stack that it completes.
    pub(super) stack: String,
    /// Name of the stack below.
    pub(super) below: Option<String>,
    /// The layer.
    pub(super) layer: String,
}

/// One node's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Positions of the images it lacks; `None` for every image that comes.
    pub(super) images: Option<Vec<usize>>,
    /// Layers that it needs; `None` when they are not known beforehand.
    pub(super) needs: Option<BTreeSet<String>>,
    /// Blobs that it has.
    pub(super) has: BTreeSet<String>,
    /// Snapshots to make, lowest first; only with [`Mode::Unpack`].
    pub(super) commits: Vec<Commit>,
    pub(super) snapshotter: String,
}

// === impl Plan ===

impl Plan {
    /// For a node that lacks these of the wanted images: what it needs, in the quickest way.
    pub(super) fn thrifty(wanted: &[Wanted], lacking: &[usize], survey: &Survey) -> Self {
        let images: Vec<&Wanted> = lacking.iter().filter_map(|at| wanted.get(*at)).collect();
        let known = images.iter().all(|image| !image.layers.is_empty());
        let mut commits: Vec<Commit> = Vec::new();
        for image in &images {
            let stacks = chain_ids(&image.layers);
            for (at, stack) in stacks.iter().enumerate().skip(unpacked(&stacks, survey)) {
                if commits.iter().all(|commit| commit.stack != *stack) {
                    let below = at.checked_sub(1).map(|below| stacks[below].clone());
                    commits.push(Commit { stack: stack.clone(), below, layer: image.layers[at].clone() });
                }
            }
        }
        let layers: BTreeSet<String> = commits.iter().map(|commit| commit.layer.clone()).collect();
        // A layer that is needed twice can be renamed once only; one that is there packed is not sent.
        let fits = known
            && images.iter().all(|image| image.plain)
            && survey.snapshotter == "overlayfs"
            && survey.lacks.is_empty()
            && layers.len() == commits.len()
            && layers.is_disjoint(&survey.content);
        let mode = if fits { Mode::Unpack } else { Mode::Import };
        Self {
            mode,
            images: Some(lacking.to_vec()),
            needs: known.then(|| layers.difference(&survey.content).cloned().collect()),
            has: survey.content.clone(),
            commits: if mode == Mode::Unpack { commits } else { Vec::new() },
            snapshotter: survey.snapshotter.clone(),
        }
    }

    /// For a node that lacks these of the wanted images: every layer of them, in containerd's own way. It needs
    /// nothing but containerd, and cannot miss what was there a moment ago.
    pub(super) fn whole(wanted: &[Wanted], lacking: &[usize], survey: &Survey) -> Self {
        let empty = Survey { snapshotter: survey.snapshotter.clone(), ..Survey::default() };
        Self { mode: Mode::Import, commits: Vec::new(), ..Self::thrifty(wanted, lacking, &empty) }
    }

    /// For a node that gets everything that comes, whatever it is.
    pub(super) fn everything(survey: &Survey) -> Self {
        Self {
            mode: Mode::Import,
            images: None,
            needs: None,
            has: survey.content.clone(),
            commits: Vec::new(),
            snapshotter: survey.snapshotter.clone(),
        }
    }

    /// Whether a layer goes to this node.
    pub(super) fn takes(&self, layer: &LayerName) -> bool {
        match (&self.needs, &layer.diff_id, &layer.digest) {
            (Some(needs), Some(diff_id), _) => needs.contains(diff_id),
            (_, _, Some(digest)) => !self.has.contains(digest),
            (_, _, None) => true,
        }
    }
}

/// How many of an image's layers, from the lowest, a node has unpacked.
fn unpacked(stacks: &[String], survey: &Survey) -> usize {
    stacks.iter().take_while(|stack| survey.stacks.contains(*stack)).count()
}

/// A layer's folder: its digest without the algorithm.
pub(super) fn folder(diff_id: &str) -> &str {
    diff_id.trim_start_matches("sha256:")
}

/// Layers by their place in an archive, where that is known beforehand.
pub(super) type Places = BTreeMap<String, LayerName>;

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layers: &[&str]) -> Wanted {
        Wanted {
            reference: String::new(),
            names: vec!["n".into()],
            id: "sha256:c".into(),
            layers: layers.iter().map(|layer| format!("sha256:{layer}")).collect(),
            plain: true,
        }
    }

    fn survey(stacks: &[String], content: &[&str]) -> Survey {
        Survey {
            snapshotter: "overlayfs".into(),
            stacks: stacks.iter().cloned().collect(),
            content: content.iter().map(|blob| format!("sha256:{blob}")).collect(),
            ..Survey::default()
        }
    }

    fn needs(plan: &Plan) -> Vec<&str> {
        plan.needs.iter().flatten().map(|layer| layer.trim_start_matches("sha256:")).collect()
    }

    #[test]
    fn only_what_lies_above_the_stacks_that_are_there_is_sent() {
        let wanted = [image(&["a", "b", "c"])];
        let stacks = chain_ids(&wanted[0].layers);
        let plan = Plan::thrifty(&wanted, &[0], &survey(&stacks[..2], &[]));
        assert_eq!((plan.mode, needs(&plan)), (Mode::Unpack, vec!["c"]));
        assert_eq!(plan.commits, [Commit { stack: stacks[2].clone(), below: Some(stacks[1].clone()), layer: "sha256:c".into() }]);
        // The upper stack alone is of no use: what it stands on is gone.
        let plan = Plan::thrifty(&wanted, &[0], &survey(&stacks[1..2], &[]));
        assert_eq!(needs(&plan), ["a", "b", "c"]);
    }

    #[test]
    fn packed_layers_that_are_there_are_left_to_containerd() {
        let wanted = [image(&["a", "b"])];
        let plan = Plan::thrifty(&wanted, &[0], &survey(&[], &["a"]));
        assert_eq!((plan.mode, needs(&plan)), (Mode::Import, vec!["b"]));
        let whole = Plan::whole(&wanted, &[0], &survey(&[], &["a"]));
        assert_eq!((whole.mode, needs(&whole)), (Mode::Import, vec!["a", "b"]));
    }

    #[test]
    fn what_unpacking_cannot_do_is_left_to_containerd() {
        let mode = |wanted: &[Wanted], survey: &Survey| Plan::thrifty(wanted, &(0..wanted.len()).collect::<Vec<_>>(), survey).mode;
        assert_eq!(mode(&[image(&["a", "a"])], &survey(&[], &[])), Mode::Import, "one layer twice");
        assert_eq!(mode(&[image(&["a", "b"]), image(&["b"])], &survey(&[], &[])), Mode::Import, "one layer on two stacks");
        assert_eq!(mode(&[image(&["a", "b"]), image(&["a", "c"])], &survey(&[], &[])), Mode::Unpack, "a common base");
        let packed = Wanted { plain: false, ..image(&["a"]) };
        assert_eq!(mode(&[packed], &survey(&[], &[])), Mode::Import);
        let native = Survey { snapshotter: "native".into(), ..survey(&[], &[]) };
        assert_eq!(mode(&[image(&["a"])], &native), Mode::Import);
        let bare = Survey { lacks: vec!["tar".into()], ..survey(&[], &[]) };
        assert_eq!(mode(&[image(&["a"])], &bare), Mode::Import);
    }
}
