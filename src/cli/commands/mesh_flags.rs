//! Flags of `up` that ask for a mesh, and how they change what a fleet file says of it.

use std::path::PathBuf;

use clap::Args;

use super::super::errors::CliError;
use super::super::exit::Exit;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::MeshBuilder;
use crate::domain::mesh::{MeshSpec, RootCaFiles};
use crate::domain::version::IstioVersion;

/// Flags of a mesh. Those that describe it are stronger than the fleet file, and no use without one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Mesh")]
pub struct MeshFlags {
    /// Install an Istio mesh over all clusters
    #[arg(long)]
    mesh: bool,
    /// Do not prove the mesh, and install the sample only with --sample
    #[arg(long)]
    no_verify: bool,
    /// Version of Istio [default: that of the node image, else 1.31.1]
    #[arg(long, value_name = "VERSION")]
    istio_version: Option<IstioVersion>,
    /// Folder or archive of Istio's charts base, istiod and gateway [default: those of the node image, else a download]
    #[arg(long, value_name = "PATH")]
    istio_charts: Option<PathBuf>,
    /// File of values for the istiod chart; may be given several times, the later wins
    #[arg(long, value_name = "FILE")]
    istio_values: Vec<PathBuf>,
    /// File with an IstioOperator
    #[arg(long, value_name = "FILE")]
    istio_operator: Option<PathBuf>,
    /// Root certificate of one's own, PEM [default: one made for the fleet and kept]
    #[arg(long, value_name = "FILE", requires = "root_key")]
    root_ca: Option<PathBuf>,
    /// Private key of the root certificate, PEM; kept in the state folder until `down`
    #[arg(long, value_name = "FILE", requires = "root_ca")]
    root_key: Option<PathBuf>,
}

// === impl MeshFlags ===

impl MeshFlags {
    /// Whether a mesh is asked for.
    pub fn wanted(&self) -> bool {
        self.mesh
    }

    /// Changes a fleet as the flags say.
    ///
    /// # Errors
    /// [`Exit::Config`] when a flag describes a mesh and there is none, or what it says cannot work.
    pub fn apply(&self, fleet: &mut Fleet) -> Result<(), CliError> {
        if self.mesh {
            ask_for(fleet)?;
        }
        let Some(mesh) = &mut fleet.mesh else {
            return match self.first() {
                None => Ok(()),
                Some(flag) => Err(CliError::new(Exit::Config, format!("{flag} describes a mesh, and the fleet has none"))
                    .hint("add --mesh, or `mesh: {}` to the fleet file")),
            };
        };
        mesh.verify &= !self.no_verify;
        if let Some(version) = &self.istio_version {
            // By the rules of a fleet file.
            let checked = Fleet::builder("flags").mesh(MeshBuilder::new().istio_version(version.to_string())).build();
            checked.map_err(|error| CliError::new(Exit::Config, format!("--istio-version: {}", error.problem)))?;
            mesh.istio.version = Some(version.clone());
        }
        if self.istio_charts.is_some() {
            mesh.istio.charts.clone_from(&self.istio_charts);
        }
        mesh.istio.values_files.extend(self.istio_values.iter().cloned());
        if self.istio_operator.is_some() {
            mesh.istio.operator.clone_from(&self.istio_operator);
        }
        if let (Some(certificate), Some(key)) = (&self.root_ca, &self.root_key) {
            mesh.root_ca = Some(RootCaFiles { certificate: certificate.clone(), key: key.clone() });
        }
        Ok(())
    }

    /// The first flag that says something about a mesh without asking for one.
    fn first(&self) -> Option<&'static str> {
        let given = [
            ("--istio-version", self.istio_version.is_some()),
            ("--istio-charts", self.istio_charts.is_some()),
            ("--istio-values", !self.istio_values.is_empty()),
            ("--istio-operator", self.istio_operator.is_some()),
            ("--root-ca", self.root_ca.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// `--mesh`: the fleet gets a mesh, if it has none.
///
/// # Errors
/// [`Exit::Config`] where there is no MetalLB.
pub fn ask_for(fleet: &mut Fleet) -> Result<(), CliError> {
    if fleet.addons.metallb.is_none() {
        return Err(CliError::new(Exit::Config, "--mesh needs MetalLB, which the fleet file leaves out"));
    }
    fleet.mesh.get_or_insert_with(MeshSpec::default);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(mesh: Option<MeshBuilder>) -> Fleet {
        Fleet::builder("f").mesh(mesh).build().unwrap()
    }

    #[test]
    fn flags_are_stronger_than_the_file_and_values_add_up() {
        let mut fleet = fleet(Some(MeshBuilder::new().id("lab").istio_version("1.30.0").charts("a").values_file("one").operator("o")));
        let flags = MeshFlags {
            istio_version: Some("1.31.1".parse().unwrap()),
            istio_charts: Some("b".into()),
            istio_values: vec!["two".into()],
            root_ca: Some("c".into()),
            root_key: Some("k".into()),
            ..MeshFlags::default()
        };
        flags.apply(&mut fleet).unwrap();
        let mesh = fleet.mesh.unwrap();
        assert_eq!((mesh.id.as_str(), mesh.istio.version.unwrap().to_string().as_str()), ("lab", "1.31.1"));
        assert_eq!(mesh.istio.charts, Some("b".into()));
        assert_eq!(mesh.istio.values_files, [PathBuf::from("one"), "two".into()]);
        assert_eq!(mesh.istio.operator, Some("o".into()));
        assert_eq!(mesh.root_ca, Some(RootCaFiles { certificate: "c".into(), key: "k".into() }));
    }

    #[test]
    fn a_mesh_is_made_only_when_it_is_asked_for() {
        let mut none = fleet(None);
        MeshFlags::default().apply(&mut none).unwrap();
        assert_eq!(none.mesh, None);
        let error = MeshFlags { istio_values: vec!["a".into()], ..MeshFlags::default() }.apply(&mut none).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Exit::Config, "--istio-values describes a mesh, and the fleet has none"));
        MeshFlags { mesh: true, ..MeshFlags::default() }.apply(&mut none).unwrap();
        assert_eq!(none.mesh, Some(MeshSpec::default()));
    }
}
