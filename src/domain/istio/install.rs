//! All objects of a member, in the order in which they are applied.

use serde_json::Value;

use super::charts::Charts;
use super::error::InstallError;
use super::expected::Expected;
use super::gateway::GatewayKind;
use super::objects;
use super::values::{Member, chart_values};
use crate::domain::helm::{Chart, Release, RenderError, RenderProblem, render_files};
use crate::domain::manifest::Object;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

/// The objects of a member, step by step. Within a step the order is that of
/// [`stages`](crate::domain::manifest::stages).
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    /// The namespace with the network's label: before istiod and before its certificates.
    pub namespace: Object,
    /// The base chart: definitions, the account that other clusters read with, the default validator.
    pub base: Vec<Object>,
    /// The istiod chart.
    pub control_plane: Vec<Object>,
    /// The gateways, the one to the other clusters first: once injection is live.
    pub gateways: Vec<GatewayObjects>,
    /// The Gateway object that lets the other clusters in: once its kind is served.
    pub cross_network: Object,
}

/// The objects of one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayObjects {
    /// Which one.
    pub kind: GatewayKind,
    /// Its objects.
    pub objects: Vec<Object>,
}

/// Renders everything a member of the mesh consists of, and checks that nothing is missing and
/// nothing is there that nobody knows.
///
/// `knobs` are the values of the images the member runs with (`null` for the official ones), `user`
/// the user's ([`user_values`](super::user_values)).
///
/// # Errors
/// [`InstallError`]: the values are refused, a chart does not render, or does not yield what it should.
pub fn install(charts: &Charts, member: &Member, knobs: &Value, user: &Value) -> Result<Install, InstallError> {
    let values = chart_values(member, knobs, user)?;
    let revision = values.istiod["revision"].as_str().unwrap_or_default();
    let mut gateways = Vec::new();
    for (kind, values) in &values.gateways {
        let objects = rendered(charts.gateway(), kind.name(), values, &Expected::gateway(*kind, values))?;
        gateways.push(GatewayObjects { kind: *kind, objects });
    }
    let own = |object: Result<Object, crate::domain::manifest::ManifestError>| {
        let fail = |error| RenderError { chart: "kindmesh".to_owned(), file: None, line: 0, problem: RenderProblem::Object(error) };
        object.map_err(fail)
    };
    Ok(Install {
        namespace: own(objects::namespace(&member.network))?,
        base: rendered(charts.base(), "istio-base", &values.base, &Expected::base())?,
        control_plane: rendered(charts.istiod(), "istiod", &values.istiod, &Expected::istiod(revision))?,
        gateways,
        cross_network: own(objects::cross_network_gateway())?,
    })
}

fn rendered(chart: &Chart, release: &str, values: &Value, expected: &Expected) -> Result<Vec<Object>, InstallError> {
    let release = Release { name: release.to_owned(), namespace: SYSTEM_NAMESPACE.to_owned() };
    let files = render_files(chart, &release, values)?;
    expected.check(&chart.full_name(), &files)?;
    Ok(files.into_iter().flat_map(|file| file.objects).collect())
}
