//! Charts rendered here and by Helm itself, compared object by object.
//!
//! `KINDMESH_TEST_HELM` names a helm, `KINDMESH_TEST_CHARTS` a folder with Istio's charts `base`, `istiod` and
//! `gateway`; scripts/get-helm and scripts/get-charts print them.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod golden;
mod install;
mod support;
mod values;
