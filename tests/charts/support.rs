//! Helm, the charts, and the comparison of what both made.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kindmesh::domain::helm::{Chart, Release, render};
use kindmesh::domain::manifest::Object;
use serde_json::Value;

/// A folder or program the tests cannot do without.
pub fn required(variable: &str, script: &str) -> PathBuf {
    let value = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: export {variable}=$({script})"));
    PathBuf::from(value)
}

/// Istio's charts.
pub fn charts() -> PathBuf {
    required("KINDMESH_TEST_CHARTS", "scripts/get-charts")
}

/// A chart out of its folder.
pub fn chart(folder: &Path) -> Chart {
    let mut files = BTreeMap::new();
    read(folder, folder, &mut files);
    Chart::from_files(files).unwrap()
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// What Helm renders, by kind, namespace and name; or what it says when it refuses.
pub fn by_helm(folder: &Path, release: &Release, values: &Value) -> Result<BTreeMap<String, Value>, String> {
    let helm = required("KINDMESH_TEST_HELM", "scripts/get-helm");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    let output = Command::new(helm)
        .args(["template", &release.name, folder.to_str().unwrap(), "--namespace", &release.namespace])
        .arg("--values")
        .arg(&file)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    // Some charts write a key twice; the last one counts for Helm as for the server.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
    let objects = documents.into_iter().filter(|document| !document.is_null()).map(|document| Object::try_from(document).unwrap());
    Ok(objects.map(|object| (object.to_string(), object.value().clone())).collect())
}

/// What this program renders, or why it does not.
pub fn by_us(folder: &Path, release: &Release, values: &Value) -> Result<BTreeMap<String, Value>, String> {
    let objects = render(&chart(folder), release, values).map_err(|error| error.to_string())?;
    let count = objects.len();
    let named: BTreeMap<String, Value> = objects.iter().map(|object| (object.to_string(), object.value().clone())).collect();
    assert_eq!(named.len(), count, "an object came twice");
    Ok(named)
}

/// Every difference, as a path and both sides.
pub fn differences(ours: &BTreeMap<String, Value>, helm: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = ours.keys().chain(helm.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (ours.get(name), helm.get(name)) {
            (Some(ours), Some(helm)) => compare(name, ours, helm, &mut found),
            (Some(_), None) => found.push(format!("{name}: only ours")),
            (None, _) => found.push(format!("{name}: only Helm's")),
        }
    }
    found
}

fn compare(path: &str, ours: &Value, helm: &Value, found: &mut Vec<String>) {
    match (ours, helm) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let missing = Value::from("(missing)");
                compare(&format!("{path}/{key}"), a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{at}]"), a, b, found);
            }
        }
        (Value::String(a), Value::String(b)) if a != b && a.contains('\n') => {
            let line = a.lines().zip(b.lines()).position(|(a, b)| a != b).unwrap_or_else(|| a.lines().count().min(b.lines().count()));
            let show = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
            found.push(format!("{path} line {}: ours {:?}, Helm's {:?}", line + 1, show(a), show(b)));
        }
        (a, b) if a != b => found.push(format!("{path}: ours {a}, Helm's {b}")),
        _ => {}
    }
}
