//! The results as pictures: plain SVG, one file each.

use std::fmt::Write as _;
use std::fs;

use super::command::spread;
use super::growth::Size;
use super::table::{Table, folder};

const ROW: usize = 44;
const LEFT: usize = 330;
const WIDTH: f64 = 420.0;

/// Both sides of every figure, each scaled to the slower one.
pub fn bars(table: &Table) {
    let height = table.rows.len() * ROW + 20;
    let mut svg = begin(height);
    for (index, row) in table.rows.iter().enumerate() {
        let middle = |values: &[f64]| if values.is_empty() { 0.0 } else { spread(values.iter().copied()).0 };
        let (theirs, ours) = (middle(&row.theirs), middle(&row.ours));
        let scale = WIDTH / theirs.max(ours).max(f64::MIN_POSITIVE);
        let top = index * ROW + 10;
        text(&mut svg, LEFT - 8, top + 20, "end", &row.figure);
        for (offset, seconds, colour, who) in [(0, theirs, "#b0b7c3", "peer"), (16, ours, "#2f6fde", "kindmesh")] {
            let _ =
                write!(svg, "<rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>", top + offset, seconds * scale);
            text(&mut svg, LEFT + (seconds * scale) as usize + 5, top + offset + 11, "start", &format!("{seconds:.1} s {who}"));
        }
        let aim = LEFT as f64 + theirs * row.target * scale;
        let _ = write!(svg, "<line x1=\"{aim:.1}\" x2=\"{aim:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#c0392b\"/>", top + 14, top + 32);
    }
    fs::write(folder().join("latest.svg"), svg + "</svg>\n").expect("write the picture");
}

/// Unit, what it is of a size, and colour.
type Figure = (&'static str, fn(&Size) -> f64, &'static str);

/// Time, CPU and memory by the number of clusters.
pub fn growth(sizes: &[Size]) {
    let mut svg = begin(sizes.len() * 3 * 18 + sizes.len() * 16 + 20);
    let most = |of: fn(&Size) -> f64| sizes.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let figures: [Figure; 3] =
        [("s", |size| size.wall, "#2f6fde"), ("CPU s", |size| size.cpu, "#2fa36b"), ("MiB", |size| size.memory, "#d68a1f")];
    let mut top = 10;
    for size in sizes {
        text(&mut svg, LEFT - 8, top + 26, "end", &format!("{} clusters", size.clusters));
        for (unit, of, colour) in figures {
            let width = of(size) * WIDTH / most(of);
            let _ = write!(svg, "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/>");
            text(&mut svg, LEFT + width as usize + 5, top + 11, "start", &format!("{:.0} {unit}", of(size)));
            top += 18;
        }
        top += 16;
    }
    fs::write(folder().join("growth.svg"), svg + "</svg>\n").expect("write the picture");
}

fn begin(height: usize) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"880\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    )
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>");
}
