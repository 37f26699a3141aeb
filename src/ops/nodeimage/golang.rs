//! Go: fetching what a module needs, and compiling its programs.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::recipe::{GoBuild, GoSettings};
use super::tools::{Program, Run, Tools};
use super::{BuildError, Result};

/// The Go toolchain at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// `go1.26.8 linux/amd64`.
    pub version: String,
    /// `amd64`, in Go's spelling.
    pub architecture: String,
}

/// Hears what a step is doing.
pub(super) type OnLine<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A module's folder as it goes onto disk, and how Go is called in it.
#[derive(Debug, Clone)]
pub(super) struct Module<'a> {
    /// The build, with its variables filled in.
    pub build: &'a GoBuild,
    /// What holds for every build.
    pub settings: &'a GoSettings,
    /// Files of the module: path in its folder, content.
    pub files: Vec<(String, Vec<u8>)>,
}

// === impl Toolchain ===

impl Toolchain {
    /// Asks `go version`.
    pub async fn ask(tools: &Tools, cancel: &CancellationToken) -> Result<Self> {
        let what = "ask Go for its version".to_owned();
        let run = Run { program: Program::Go, what: what.clone(), args: vec!["version".into()], dir: None, env: local() };
        let output = String::from_utf8_lossy(&tools.run(&run, &|_| {}, cancel).await?).trim().to_owned();
        Self::parse(&output).ok_or_else(|| BuildError::Answer { what, message: format!("it said '{output}'") })
    }

    fn parse(output: &str) -> Option<Self> {
        let version = output.strip_prefix("go version ")?.to_owned();
        let architecture = version.rsplit_once('/')?.1.to_owned();
        Some(Self { version, architecture })
    }
}

// === impl Module ===

impl Module<'_> {
    /// Writes the module's files. Blocking.
    pub fn write(&self, folder: &Path) -> Result<()> {
        for (path, content) in &self.files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(BuildError::io("make", parent))?;
            }
            fs::write(&path, content).map_err(BuildError::io("write", &path))?;
        }
        Ok(())
    }

    /// Fetches every package that compiling needs, and no module that it does not.
    pub async fn fetch(&self, tools: &Tools, folder: &Path, on_line: OnLine<'_>, cancel: &CancellationToken) -> Result<()> {
        let mut args = ["list", "-deps", "-f", "{{.ImportPath}}"].map(str::to_owned).to_vec();
        args.extend(self.tags());
        args.extend(self.packages());
        let run = self.run(format!("fetch the Go modules of {}", self.build.name), args, folder);
        tools.run(&run, on_line, cancel).await.map(|_| ())
    }

    /// Compiles the programs into `out`.
    pub async fn compile(&self, tools: &Tools, folder: &Path, out: &Path, on_line: OnLine<'_>, cancel: &CancellationToken) -> Result<()> {
        // Names of packages are printed as their turn comes: the only sign of progress there is.
        let mut args = vec!["build".to_owned(), "-v".to_owned()];
        args.extend(self.settings.flags.iter().cloned());
        args.extend(self.tags());
        args.extend(["-ldflags".to_owned(), self.build.ldflags.clone(), "-o".to_owned(), format!("{}/", out.display())]);
        args.extend(self.packages());
        let run = self.run(format!("compile {}", self.build.name), args, folder);
        tools.run(&run, on_line, cancel).await?;
        for binary in &self.build.binaries {
            let (made, wanted) = (out.join(default_name(&binary.package)), out.join(&binary.name));
            if made != wanted {
                fs::rename(&made, &wanted).map_err(BuildError::io("find the program", &made))?;
            }
        }
        Ok(())
    }

    fn tags(&self) -> Vec<String> {
        if self.build.tags.is_empty() { Vec::new() } else { vec!["-tags".to_owned(), self.build.tags.join(",")] }
    }

    fn packages(&self) -> impl Iterator<Item = String> {
        self.build.binaries.iter().map(|binary| binary.package.clone())
    }

    fn run<'a>(&self, what: String, args: Vec<String>, dir: &'a Path) -> Run<'a> {
        let settings = self.settings.env.iter().map(|(key, value)| (key.clone(), value.clone()));
        Run { program: Program::Go, what, args, dir: Some(dir), env: local().into_iter().chain(settings).collect() }
    }
}

/// Where the source of `k8s.io/kubernetes` at a version (without `v`) lies, fetched if need be.
pub(super) async fn kubernetes_source(tools: &Tools, version: &str, on_line: OnLine<'_>, cancel: &CancellationToken) -> Result<PathBuf> {
    let what = format!("fetch the source of Kubernetes v{version}");
    source(tools, what, format!("k8s.io/kubernetes@v{version}"), None, on_line, cancel).await
}

/// Where the source of a module lies that the module in `folder` requires, fetched if need be.
pub(super) async fn module_source(
    tools: &Tools,
    module: &str,
    folder: &Path,
    on_line: OnLine<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    source(tools, format!("fetch the source of {module}"), module.to_owned(), Some(folder), on_line, cancel).await
}

async fn source(
    tools: &Tools,
    what: String,
    query: String,
    dir: Option<&Path>,
    on_line: OnLine<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let args = ["mod", "download", "-json"].map(str::to_owned).into_iter().chain([query]).collect();
    let run = Run { program: Program::Go, what: what.clone(), args, dir, env: local() };
    let output = tools.run(&run, on_line, cancel).await?;
    let answer: serde_json::Value =
        serde_json::from_slice(&output).map_err(|error| BuildError::Answer { what: what.clone(), message: error.to_string() })?;
    match answer["Dir"].as_str() {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Err(BuildError::Answer { what, message: answer["Error"].as_str().unwrap_or("Go names no folder").to_owned() }),
    }
}

/// Completes `go.mod` and `go.sum` of a module that was just made up.
pub(super) async fn tidy(tools: &Tools, name: &str, folder: &Path, on_line: OnLine<'_>, cancel: &CancellationToken) -> Result<()> {
    let run = Run {
        program: Program::Go,
        what: format!("resolve the Go modules of {name}"),
        args: vec!["mod".into(), "tidy".into()],
        dir: Some(folder),
        env: local(),
    };
    tools.run(&run, on_line, cancel).await.map(|_| ())
}

/// Settings of every call: the toolchain at hand, no workspace of a checkout around us, Linux.
fn local() -> Vec<(String, String)> {
    [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "-buildvcs=false"), ("GOOS", "linux")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The name `go build` gives to a package's program: its last element that is no major version.
fn default_name(package: &str) -> &str {
    let is_version =
        |part: &str| part.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    package.rsplit('/').find(|part| !is_version(part)).unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_names_its_architecture() {
        let toolchain = Toolchain::parse("go version go1.26.8 linux/arm64").unwrap();
        assert_eq!((toolchain.version.as_str(), toolchain.architecture.as_str()), ("go1.26.8 linux/arm64", "arm64"));
        assert_eq!(Toolchain::parse("gcc (Debian)"), None);
    }

    #[test]
    fn programs_are_named_as_go_names_them() {
        assert_eq!(default_name("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(default_name("./cmd/crictl"), "crictl");
        assert_eq!(default_name("example.org/v"), "v");
    }
}
