//! A chart: what stands in its folder or archive, checked as far as that goes without values.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use super::yaml;

/// The file that makes a folder a chart.
const CHART_FILE: &str = "Chart.yaml";
/// The chart's own values.
const VALUES_FILE: &str = "values.yaml";
/// What values must look like, as JSON Schema.
const SCHEMA_FILE: &str = "values.schema.json";

/// A chart that has been read.
#[derive(Clone)]
pub struct Chart {
    name: String,
    version: String,
    metadata: Json,
    values: Json,
    schema: Option<Json>,
    /// By path inside the chart: `templates/**` except what is no text.
    templates: BTreeMap<String, String>,
    /// By path: `crds/**`.
    definitions: BTreeMap<String, String>,
    /// By path: everything else.
    files: BTreeMap<String, Vec<u8>>,
}

/// Why files are no chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// No `Chart.yaml`.
    #[error("no {CHART_FILE} among its {count} files: this is no chart")]
    NotAChart {
        /// How many files there are.
        count: usize,
    },
    /// A file that is not what it has to be.
    #[error("{file}: {message}")]
    File {
        /// Path inside the chart.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// Something a chart may have, and this renderer does not do.
    #[error("{what}, which is not supported here; have Helm render it")]
    Unsupported {
        /// What it has (`it has dependencies`).
        what: String,
    },
}

// === impl Chart ===

impl Chart {
    /// From a chart's files, by their path inside the chart (`Chart.yaml`, `templates/service.yaml`).
    ///
    /// # Errors
    /// [`ChartError`] when there is no `Chart.yaml`, when a file is no YAML or no text, and when the
    /// chart depends on others.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Self, ChartError> {
        let mut files = files;
        let count = files.len();
        let metadata = take_yaml(&mut files, CHART_FILE)?.ok_or(ChartError::NotAChart { count })?;
        let field = |field: &str| {
            let message = || format!("has no {field}, or one that is no text");
            let text = metadata[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            text.ok_or_else(|| ChartError::File { file: CHART_FILE.to_owned(), message: message() })
        };
        let (name, version) = (field("name")?, field("version")?);
        if metadata["dependencies"].as_array().is_some_and(|list| !list.is_empty()) || files.keys().any(|path| path.starts_with("charts/"))
        {
            return Err(ChartError::Unsupported { what: format!("chart {name} depends on other charts") });
        }
        let values = match take_yaml(&mut files, VALUES_FILE)? {
            Some(Json::Null) | None => Json::Object(serde_json::Map::new()),
            Some(values) if values.is_object() => values,
            Some(_) => return Err(ChartError::File { file: VALUES_FILE.to_owned(), message: "is no map".to_owned() }),
        };
        let schema = match files.remove(SCHEMA_FILE) {
            Some(bytes) => Some(
                serde_json::from_slice(&bytes)
                    .map_err(|error| ChartError::File { file: SCHEMA_FILE.to_owned(), message: format!("is no JSON: {error}") })?,
            ),
            None => None,
        };
        let templates = take_texts(&mut files, "templates/")?;
        let definitions = take_texts(&mut files, "crds/")?;
        Ok(Self { name, version, metadata, values, schema, templates, definitions, files })
    }

    /// Its name (`istiod`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version (`1.31.1`).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Everything in `Chart.yaml`.
    pub fn metadata(&self) -> &Json {
        &self.metadata
    }

    /// Its own values (`values.yaml`); an empty map when it has none.
    pub fn values(&self) -> &Json {
        &self.values
    }

    /// Its schema for values (`values.schema.json`), when it has one.
    pub fn schema(&self) -> Option<&Json> {
        self.schema.as_ref()
    }

    pub(super) fn templates(&self) -> &BTreeMap<String, String> {
        &self.templates
    }

    pub(super) fn definitions(&self) -> &BTreeMap<String, String> {
        &self.definitions
    }

    pub(super) fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Name and version as in the name of a package (`istiod-1.31.1`).
    pub fn full_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl fmt::Debug for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chart").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

fn take_yaml(files: &mut BTreeMap<String, Vec<u8>>, path: &str) -> Result<Option<Json>, ChartError> {
    let Some(bytes) = files.remove(path) else { return Ok(None) };
    let value = yaml::parse(&text_of(path, bytes)?)
        .map_err(|error| ChartError::File { file: path.to_owned(), message: format!("is no valid YAML: {error}") })?;
    Ok(Some(value))
}

fn take_texts(files: &mut BTreeMap<String, Vec<u8>>, folder: &str) -> Result<BTreeMap<String, String>, ChartError> {
    let paths: Vec<String> = files.keys().filter(|path| path.starts_with(folder)).cloned().collect();
    let mut texts = BTreeMap::new();
    for path in paths {
        if let Some(bytes) = files.remove(&path) {
            let text = text_of(&path, bytes)?;
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

fn text_of(path: &str, bytes: Vec<u8>) -> Result<String, ChartError> {
    let text = String::from_utf8(bytes).map_err(|_| ChartError::File { file: path.to_owned(), message: "is no UTF-8 text".to_owned() })?;
    // Editors on Windows put a mark at the beginning; Helm drops it.
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}
