//! The files that the description of a mesh names, read before anything is created.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::mesh::{MeshSpec, RootCaFiles};
use crate::domain::pki::Root;
use crate::ops::charts::ChartSource;
use crate::ops::error::{Error, ErrorKind, Result};

/// What the files say.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MeshInput {
    /// Values from files, weakest first, each with its file; the inline ones of the description are
    /// stronger than all of them.
    pub values: Vec<(PathBuf, Map<String, Value>)>,
    /// The `IstioOperator` file and its text.
    pub operator: Option<(PathBuf, String)>,
    /// The user's own root.
    pub root: Option<Root>,
    /// The folder or the archive of charts; it exists.
    pub charts: Option<ChartSource>,
}

// === impl MeshInput ===

/// Values may hold passwords: only the files' names are shown.
impl std::fmt::Debug for MeshInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files: Vec<&PathBuf> = self.values.iter().map(|(file, _)| file).collect();
        let operator = self.operator.as_ref().map(|(file, _)| file);
        f.debug_struct("MeshInput")
            .field("values", &files)
            .field("operator", &operator)
            .field("charts", &self.charts)
            .finish_non_exhaustive()
    }
}

impl MeshInput {
    /// Reads every file that the description names.
    ///
    /// # Errors
    /// The first that is missing, cannot be read, or is not what it should be, by its name.
    pub async fn read(spec: &MeshSpec, now: Timestamp) -> Result<Self> {
        let mut input = Self::default();
        for file in &spec.istio.values_files {
            let text = text("the values file", file).await?;
            input.values.push((file.clone(), values(file, &text)?));
        }
        if let Some(file) = &spec.istio.operator {
            input.operator = Some((file.clone(), text("the IstioOperator file", file).await?));
        }
        if let Some(path) = &spec.istio.charts {
            input.charts = Some(charts(path).await?);
        }
        if let Some(files) = &spec.root_ca {
            input.root = Some(root(files, now).await?);
        }
        Ok(input)
    }
}

/// The user's own root from its two files.
///
/// # Errors
/// When a file cannot be read, or the two are not the root of a mesh.
pub async fn root(files: &RootCaFiles, now: Timestamp) -> Result<Root> {
    let certificate = text("the root certificate", &files.certificate).await?;
    let key = zeroize::Zeroizing::new(text("the root key", &files.key).await?);
    Root::from_pem(&certificate, &key, now).map_err(|error| {
        let message = format!("cannot use {} with {}: {error}", files.certificate.display(), files.key.display());
        Error::new(ErrorKind::Config, message)
    })
}

async fn charts(path: &Path) -> Result<ChartSource> {
    let name = path.to_string_lossy();
    let archive = name.ends_with(".tgz") || name.ends_with(".tar.gz");
    match tokio::fs::metadata(path).await {
        Ok(metadata) if metadata.is_dir() => Ok(ChartSource::Folder(path.to_owned())),
        Ok(metadata) if metadata.is_file() && archive => Ok(ChartSource::Archive(path.to_owned())),
        Ok(_) => {
            let message = format!("the charts {} are neither a folder nor a .tgz or .tar.gz archive", path.display());
            Err(Error::new(ErrorKind::Config, message)
                .hint("name the folder that holds the charts base, istiod and gateway, as folders or as .tgz archives")
                .hint("or one archive that has the three as folders, such as a release of Istio"))
        }
        Err(error) => Err(unreadable("the charts", path, error)),
    }
}

async fn text(what: &str, file: &Path) -> Result<String> {
    tokio::fs::read_to_string(file).await.map_err(|error| unreadable(what, file, error))
}

fn unreadable(what: &str, path: &Path, error: io::Error) -> Error {
    let missing = error.kind() == io::ErrorKind::NotFound;
    let kind = if missing { ErrorKind::NotFound } else { ErrorKind::File };
    let error = Error::new(kind, format!("read {what} {}", path.display())).because(error);
    if missing {
        error.hint("paths in a fleet file begin at the folder that the file is in, those of flags in the current one")
    } else {
        error
    }
}

/// Values as Helm reads them: one mapping; an empty file has none.
fn values(file: &Path, text: &str) -> Result<Map<String, Value>> {
    let wrong = |message: String| Error::new(ErrorKind::Config, format!("the values file {}: {message}", file.display()));
    match serde_saphyr::from_str::<Option<Value>>(text) {
        Ok(None | Some(Value::Null)) => Ok(Map::new()),
        Ok(Some(Value::Object(values))) => Ok(values),
        Ok(Some(_)) => Err(wrong("it holds no mapping".to_owned())),
        Err(error) => {
            use serde_saphyr::MessageFormatter as _;
            let place = error.location().map(|place| format!("line {}, column {}: ", place.line(), place.column())).unwrap_or_default();
            // The parser's own form would show the lines around, and values may hold passwords.
            let message = serde_saphyr::UserMessageFormatter.format_message(error.without_snippet()).into_owned();
            Err(wrong(format!("{place}{}", message.lines().next().unwrap_or_default())))
        }
    }
}
