//! The figures of a run, side by side.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::command::spread;

/// One figure.
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// Beside what.
    pub peer: String,
    /// Seconds of the peer, round by round; empty when it could not be measured.
    pub theirs: Vec<f64>,
    /// Seconds of kindmesh.
    pub ours: Vec<f64>,
    /// The ratio aimed at.
    pub target: f64,
}

/// All of them.
#[derive(Default)]
pub struct Table {
    /// In the order of measuring.
    pub rows: Vec<Row>,
}

/// Where results go.
pub fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder).expect("a folder for the results");
    folder
}

// === impl Row ===

impl Row {
    /// Ours by theirs, of the medians; `None` without a peer.
    pub fn ratio(&self) -> Option<f64> {
        (!self.theirs.is_empty()).then(|| spread(self.ours.iter().copied()).0 / spread(self.theirs.iter().copied()).0)
    }
}

// === impl Table ===

impl Table {
    /// Adds a figure, and tells it at once: a run takes long.
    pub fn add(&mut self, figure: &str, peer: &str, theirs: Vec<f64>, ours: Vec<f64>, target: f64) {
        let row = Row { figure: figure.to_owned(), peer: peer.to_owned(), theirs, ours, target };
        eprintln!("{}", line(&row));
        self.rows.push(row);
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let head = "| figure | peer | peer's | kindmesh's | ratio | target | |\n|---|---|---|---|---|---|---|";
        let rows: Vec<String> = self.rows.iter().map(line).collect();
        format!("{head}\n{}", rows.join("\n"))
    }

    /// As `latest.json`.
    pub fn write(&self) {
        let middle = |values: &[f64]| (!values.is_empty()).then(|| spread(values.iter().copied()).0);
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "figure": row.figure, "peer": row.peer, "peer_s": middle(&row.theirs), "ours_s": middle(&row.ours),
                    "ratio": row.ratio(), "target": row.target, "peer_all": row.theirs, "ours_all": row.ours,
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&json!({ "rows": rows })).expect("JSON");
        fs::write(folder().join("latest.json"), text + "\n").expect("write the results");
    }
}

fn line(row: &Row) -> String {
    let seconds = |values: &[f64]| match values {
        [] => "-".to_owned(),
        values => {
            let (middle, least, most) = spread(values.iter().copied());
            format!("{middle:.2} s ({least:.2} to {most:.2})")
        }
    };
    let (ratio, verdict) = match row.ratio() {
        Some(ratio) => (format!("{ratio:.2}x"), if ratio <= row.target { "met" } else { "missed" }),
        None => ("-".to_owned(), "not compared"),
    };
    format!(
        "| {} | {} | {} | {} | {ratio} | {:.2}x | {verdict} |",
        row.figure,
        row.peer,
        seconds(&row.theirs),
        seconds(&row.ours),
        row.target
    )
}
