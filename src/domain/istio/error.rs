//! Why the objects of an Istio installation could not be made.

use super::values::ValuesError;
use crate::domain::helm::RenderError;

/// Why the objects of an Istio installation could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The values cannot be used for a member of a mesh.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A chart does not render.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A chart does not yield what a mesh needs.
    #[error(
        "render chart {chart}: it renders to no {}; the mesh needs it: check the values that leave it out, or use charts that have it",
        objects.join(", no ")
    )]
    Missing {
        /// Name and version of the chart.
        chart: String,
        /// The objects (`Deployment istio-system/istiod`).
        objects: Vec<String>,
    },
    /// A chart yields something nobody has thought of.
    #[error(
        "render chart {chart}: {file}:{line}: it renders to {object}, which is not known to belong to Istio's {chart}; nothing of it is \
         installed"
    )]
    Unexpected {
        /// Name and version of the chart.
        chart: String,
        /// The object.
        object: String,
        /// The file of the chart it came from.
        file: String,
        /// Line where it begins, from 1, of what the file rendered to.
        line: usize,
    },
}
