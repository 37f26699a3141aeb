//! From a chart and values to objects.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::chart::{Chart, SCHEMA_FILE};
use super::error::{Fault, RenderError, RenderProblem};
use super::eval::Engine;
use super::merge;
use super::schema;
use super::split;
use super::template::{Templates, in_order};
use super::value::{Record, Value};
use crate::domain::manifest::Object;

/// What a chart is installed as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Name of the installation; many charts name their objects after it.
    pub name: String,
    /// Namespace of its objects.
    pub namespace: String,
}

/// What one file of a chart rendered to.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedFile {
    /// The file, by its path inside the chart.
    pub path: String,
    /// The objects, in the order in which they stand in it.
    pub objects: Vec<Object>,
    /// Where each of them begins: a line, from 1, of what the file rendered to.
    pub lines: Vec<usize>,
}

/// Renders a chart: its own values below `values`, every template run, what they yield read as objects.
///
/// Objects come in the order of the files' names, those of one file as they stand in it; objects of
/// `crds/` come first. `NOTES.txt` is run, since charts refuse values there, and its text dropped.
///
/// # Errors
/// [`RenderError`] when a template is wrong, calls a function that is not known here, refuses the
/// values, or renders to something that is no object.
pub fn render(chart: &Chart, release: &Release, values: &Json) -> Result<Vec<Object>, RenderError> {
    Ok(render_files(chart, release, values)?.into_iter().flat_map(|file| file.objects).collect())
}

/// As [`render`], but with the files that the objects came from. Files without objects are left out.
///
/// # Errors
/// As [`render`].
pub fn render_files(chart: &Chart, release: &Release, values: &Json) -> Result<Vec<RenderedFile>, RenderError> {
    let name = chart.full_name();
    let fault = |fault: Fault| fault.in_chart(&name);
    let order = in_order(chart.templates().keys());
    let mut templates = Templates::default();
    for &file in &order {
        templates.add(file, &chart.templates()[file]).map_err(fault)?;
    }
    let mut merged = if values.is_null() { Json::Object(serde_json::Map::new()) } else { values.clone() };
    merge::coalesce(&mut merged, chart.values());
    if let Some(rules) = chart.schema() {
        let refused = |message| RenderError {
            chart: name.clone(),
            file: Some(SCHEMA_FILE.to_owned()),
            line: 0,
            problem: RenderProblem::Schema(message),
        };
        schema::check(rules, &merged).map_err(refused)?;
    }

    let root = root(chart, release, &merged);
    let dot = Value::Map(Rc::clone(&root));
    let mut engine = Engine::new(chart, templates);
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for &file in &order {
        if file.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
            continue;
        }
        root.borrow_mut().insert(Rc::from("Template"), template_record(chart, file));
        let text = engine.run(file, &dot).map_err(fault)?;
        if !file.ends_with("NOTES.txt") {
            texts.insert(file, if text.contains("<no value>") { text.replace("<no value>", "") } else { text });
        }
    }
    let definitions = chart.definitions().iter().map(|(file, text)| (file.as_str(), text));
    let mut files = Vec::new();
    for (file, text) in definitions.chain(texts.iter().map(|(file, text)| (*file, text))) {
        let objects = split::objects(&name, file, text)?;
        if !objects.is_empty() {
            let (lines, objects) = objects.into_iter().unzip();
            files.push(RenderedFile { path: file.to_owned(), objects, lines });
        }
    }
    Ok(files)
}

/// What templates see as `.` and `$`: one map for all of a chart's templates, so that one can change it for the next.
fn root(chart: &Chart, release: &Release, values: &Json) -> super::value::Map {
    let text = |text: &str| Value::text(text);
    let release = Record {
        name: ".Release",
        fields: BTreeMap::from([
            ("Name", text(&release.name)),
            ("Namespace", text(&release.namespace)),
            ("Service", text("Helm")),
            ("Revision", Value::Int(1)),
            ("IsInstall", Value::Bool(true)),
            ("IsUpgrade", Value::Bool(false)),
        ]),
    };
    // Asking for a cluster's capabilities is an error: there is no cluster to ask.
    let capabilities = Record { name: ".Capabilities", fields: BTreeMap::new() };
    let record = |record: Record| Value::Record(Rc::new(record));
    let entries = [
        ("Values", Value::from_json(values)),
        ("Chart", chart_record(chart)),
        ("Release", record(release)),
        ("Capabilities", record(capabilities)),
        ("Files", Value::Files),
    ];
    match Value::map(entries.into_iter().map(|(key, value)| (Rc::from(key), value)).collect()) {
        Value::Map(map) => map,
        _ => Default::default(),
    }
}

/// `.Chart`: the fields of `Chart.yaml`, with capitals as in Helm.
fn chart_record(chart: &Chart) -> Value {
    let names = [
        ("Name", "name"),
        ("Version", "version"),
        ("AppVersion", "appVersion"),
        ("APIVersion", "apiVersion"),
        ("Description", "description"),
        ("Type", "type"),
        ("Home", "home"),
        ("Icon", "icon"),
        ("KubeVersion", "kubeVersion"),
        ("Keywords", "keywords"),
        ("Sources", "sources"),
        ("Annotations", "annotations"),
    ];
    let fields = names.into_iter().map(|(name, key)| {
        let value = match &chart.metadata()[key] {
            Json::Null => Value::text(""),
            value => Value::from_json(value),
        };
        (name, value)
    });
    Value::Record(Rc::new(Record { name: ".Chart", fields: fields.collect() }))
}

fn template_record(chart: &Chart, file: &str) -> Value {
    let name = Value::text(format!("{}/{file}", chart.name()));
    let base = Value::text(format!("{}/templates", chart.name()));
    Value::Record(Rc::new(Record { name: ".Template", fields: BTreeMap::from([("Name", name), ("BasePath", base)]) }))
}
