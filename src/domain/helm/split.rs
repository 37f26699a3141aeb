//! What templates render to, as objects.

use super::error::{RenderError, RenderProblem};
use super::yaml;
use crate::domain::manifest::Object;

/// Reads the objects of a rendered file in their order, each with the line where its document begins.
pub(super) fn objects(chart: &str, file: &str, text: &str) -> Result<Vec<(usize, Object)>, RenderError> {
    let fail = |line: usize, problem: RenderProblem| RenderError { chart: chart.to_owned(), file: Some(file.to_owned()), line, problem };
    let mut objects = Vec::new();
    for (first, document) in documents(text) {
        if document.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        let value = yaml::parse(document).map_err(|error| {
            let line = if error.line > 0 { first + error.line - 1 } else { 0 };
            fail(line, RenderProblem::Output(error.message))
        })?;
        if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
            continue;
        }
        let object = Object::try_from(value).map_err(|error| fail(first, RenderProblem::Object(error)))?;
        if object.value().pointer("/metadata/annotations").and_then(|annotations| annotations.get("helm.sh/hook")).is_some() {
            return Err(fail(first, RenderProblem::Unsupported(format!("{object} is a hook, which only Helm itself runs"))));
        }
        objects.push((first, object));
    }
    Ok(objects)
}

/// The documents of a text, each with its first line, from 1.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut begin, mut first) = (0, 1);
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        if line.starts_with("---") && (line.trim_end() == "---" || line[3..].starts_with([' ', '\t'])) {
            found.push((first, &text[begin..at]));
            // What stands behind the dashes belongs to the next document.
            (begin, first) = (at + 3, number + 1);
        }
        at = end;
    }
    found.push((first, &text[begin..]));
    found
}
