//! The recipe: what a node image is made of, as `node-images/recipe.json` says it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::mend::Mend;
use super::parts::{Export, ExportedFile, Seed, Wheel};
use super::{BuildError, Result};

/// A whole recipe. Strings hold `{variable}` in places; see [`Variables`](super::variables::Variables).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    pub schema: u32,
    /// Name that the image gets by default.
    pub reference: String,
    /// Debian suite.
    pub suite: String,
    /// Debian roots by name.
    pub roots: BTreeMap<String, Root>,
    pub kubernetes: Kubernetes,
    /// Variables of every version.
    pub variables: BTreeMap<String, String>,
    pub go: GoSettings,
    /// Go builds; the order is that of compiling.
    pub builds: Vec<GoBuild>,
    /// Programs that come built.
    #[serde(default)]
    pub wheels: Vec<Wheel>,
    /// Files out of modules' sources.
    #[serde(default)]
    pub exports: Vec<Export>,
    /// First content of the clusters' databases.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// Container images of the node's store.
    pub images: Vec<ComponentImage>,
    pub image_defaults: ImageDefaults,
    pub node: Node,
}

/// A Debian root, with files of the recipe on top.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    /// Which packages are there without being named: mmdebstrap's `--variant`.
    pub variant: String,
    pub packages: Vec<String>,
    /// Paths left out; `/*` at the end means everything below, not the folder itself.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Folders that lie elsewhere, with a link in their place; relative links into and out of them are not adjusted.
    #[serde(default, rename = "move")]
    pub moves: Vec<Move>,
    #[serde(default)]
    pub files: Vec<NodeFile>,
    #[serde(default)]
    pub symlinks: Vec<Symlink>,
}

/// A folder of a Debian root that lies elsewhere.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    pub from: String,
    pub to: String,
}

/// Kubernetes versions, and the names kubeadm gives to what comes with each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kubernetes {
    /// Version built when none is named, without `v`.
    pub default: String,
    /// Variables of a version, by version without `v`.
    pub versions: BTreeMap<String, BTreeMap<String, String>>,
}

/// What holds for every Go build.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoSettings {
    pub env: BTreeMap<String, String>,
    pub flags: Vec<String>,
}

/// Programs compiled together, in one module.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoBuild {
    pub name: String,
    /// Folder of the module, in the recipe's folder.
    pub dir: String,
    /// Build tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub ldflags: String,
    /// Known faults of what is compiled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    pub binaries: Vec<Binary>,
}

/// A program.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binary {
    /// Its main package.
    pub package: String,
    /// Its file name, unlike that of every other program of the recipe.
    pub name: String,
}

/// A container image in the node's store.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ComponentImage {
    pub reference: String,
    /// A Debian root, or `scratch`.
    pub root: String,
    pub files: Vec<BinaryFile>,
    #[serde(default)]
    pub exported: Vec<ExportedFile>,
    #[serde(default)]
    pub directories: Vec<Directory>,
    /// Environment on top of every image's.
    #[serde(default)]
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub user: String,
    /// Signal that asks it to end; without one, SIGTERM.
    #[serde(default)]
    pub stop_signal: String,
}

/// A program's place in an image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BinaryFile {
    pub binary: String,
    pub to: String,
}

/// What holds for every container image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageDefaults {
    pub env: Vec<String>,
    pub working_dir: String,
}

/// The node itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    /// Debian root it stands on.
    pub root: String,
    pub binaries: Vec<BinaryFile>,
    pub files: Vec<NodeFile>,
    #[serde(default)]
    pub exported: Vec<ExportedFile>,
    pub directories: Vec<Directory>,
    pub symlinks: Vec<Symlink>,
    pub units: Units,
    pub store: Store,
    pub config: NodeConfig,
}

/// A file of the recipe's folder in the node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeFile {
    pub src: String,
    pub to: String,
    /// Octal, as text.
    pub mode: String,
    /// Whether variables in it are replaced.
    #[serde(default)]
    pub template: bool,
}

/// A folder in the node or in an image.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub path: String,
    /// Octal, as text.
    pub mode: String,
    /// Number of the user and of the group that own it.
    #[serde(default)]
    pub owner: u32,
}

/// A symbolic link in the node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Symlink {
    pub path: String,
    pub target: String,
}

/// What systemd starts, and what it never starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Units {
    pub enable: Vec<EnabledUnit>,
    pub mask: Vec<String>,
}

/// A unit that a target wants.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnabledUnit {
    /// Path of the unit's file.
    pub unit: String,
    pub wanted_by: String,
}

/// containerd's store, filled at build time.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    /// Where containerd keeps it while it is filled.
    pub containerd_root: String,
    /// Where it lies in the image.
    pub path: String,
    /// containerd's namespace.
    pub namespace: String,
    pub snapshotter: String,
    /// Labels of every image in it.
    pub labels: BTreeMap<String, String>,
    /// Whether the packed layers are left out once they are unpacked.
    pub drop_layer_blobs: bool,
}

/// How the node's container runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeConfig {
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub stop_signal: String,
    pub volumes: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

// === impl Recipe ===

impl Recipe {
    /// Reads `recipe.json` and checks that what it names is there.
    pub fn read(files: &Files) -> Result<Self> {
        let wrong = |message: String| BuildError::Recipe { place: files.place().to_owned(), message };
        let text = files.get("recipe.json").ok_or_else(|| wrong("recipe.json is missing".into()))?;
        let recipe: Self = serde_json::from_slice(text).map_err(|error| wrong(format!("recipe.json: {error}")))?;
        recipe.check(files).map_err(wrong)?;
        Ok(recipe)
    }
}

// === impl Root ===

impl Root {
    /// Where a path (without a leading slash) lies in the end.
    pub fn place(&self, path: &str) -> String {
        let moved = self.moves.iter().find_map(|one| {
            let rest = path.strip_prefix(one.from.trim_start_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", one.to.trim_start_matches('/')))
        });
        moved.unwrap_or_else(|| path.to_owned())
    }

    /// Whether a path (without a leading slash) is left out.
    pub fn removes(&self, path: &str) -> bool {
        self.remove.iter().any(|pattern| {
            let pattern = pattern.trim_start_matches('/');
            match pattern.strip_suffix("/*") {
                Some(folder) => path.strip_prefix(folder).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
                None => path == pattern || path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/')),
            }
        })
    }
}

/// Reads permission bits in octal.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("'{text}' is no file mode; expected something like 0755"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_out_folders_contents_or_single_paths() {
        let root = Root { remove: vec!["/usr/share/doc/*".into(), "/etc/machine-id".into(), "/var/x".into()], ..Root::default() };
        for gone in ["usr/share/doc/a", "usr/share/doc/a/b", "etc/machine-id", "var/x", "var/x/y"] {
            assert!(root.removes(gone), "{gone} stays");
        }
        for stays in ["usr/share/doc", "usr/share/docs", "etc/machine-id.d", "var/xy", "usr"] {
            assert!(!root.removes(stays), "{stays} goes");
        }
    }

    #[test]
    fn the_built_in_recipe_is_whole() {
        let recipe = Recipe::read(&Files::built_in()).unwrap();
        let version = crate::domain::image::default_version();
        assert_eq!(recipe.kubernetes.default, version.bare());
        assert_eq!(recipe.reference.replace("{kubernetes}", &version.bare()), crate::domain::image::offline_image(&version).short());
    }

    #[test]
    fn the_name_of_the_istio_version_is_that_of_its_pin() {
        let files = Files::built_in();
        let recipe = Recipe::read(&files).unwrap();
        let pins = String::from_utf8(files.get("modules/istio/go.mod").unwrap().to_vec()).unwrap();
        let pin = pins.lines().find_map(|line| line.strip_prefix("require istio.io/istio v0.0.0-")).unwrap();
        let (day, revision) = (&pin[..8], pin.rsplit('-').next().unwrap());
        assert!(recipe.variables["istio"].ends_with(&format!("-dev.{day}")), "{pin} is called {}", recipe.variables["istio"]);
        let built = recipe.builds.iter().filter(|build| build.dir == "modules/istio");
        assert!(built.map(|build| build.ldflags.contains(&format!("buildGitRevision={revision} "))).eq([true, true]), "{revision}");
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(parse_mode("0755"), Ok(0o755));
        assert!(parse_mode("rwx").is_err() && parse_mode("99").is_err() && parse_mode("77777").is_err());
    }
}
