//! `kindmesh graph`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::domain::mesh::graph::{mermaid, svg};
use crate::domain::mesh::proof::Matrix;
use crate::domain::name::FleetName;
use crate::ops::{Kindmesh, VerifyOptions, VerifyReport};

const EXAMPLES: &str = "\
Draws clusters, networks, pools and gateways; with --calls or --report also how many requests
went from where to where. The SVG needs nothing else. `-o json` prints what would be drawn.

Examples:
  kindmesh graph > fleet.svg
  kindmesh graph --write fleet.svg --calls
  kindmesh graph --format mermaid
  kindmesh verify -o json > report.json; kindmesh graph --report report.json --write fleet.svg";

/// Flags of `graph`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GraphArgs {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with = "fleet")]
    file: Option<PathBuf>,
    /// Name of the fleet [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// svg or mermaid [default: as the written file is called, else svg]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    format: Option<Format>,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Verify the mesh and draw the calls that were answered
    #[arg(long, conflicts_with = "report")]
    calls: bool,
    /// Draw the calls of an earlier `kindmesh verify -o json`
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Form of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For browsers and documents
    Svg,
    /// For pages that render Mermaid
    Mermaid,
}

/// Runs it.
///
/// # Errors
/// When there is no such fleet, or a file cannot be read or written.
pub async fn run(session: &Session, args: &GraphArgs) -> Result<(), CliError> {
    let fleet = args.fleet_name(session).await?;
    let earlier = args.report.as_deref().map(read_report).transpose()?;
    let kindmesh = session.kindmesh(None).await?;
    let graph = session.or_cancelled(async {
        let traffic = match earlier {
            Some(matrix) => matrix,
            None if args.calls => count(session, &kindmesh, &fleet).await?,
            None => Matrix::default(),
        };
        Ok::<_, CliError>(kindmesh.graph(&fleet, traffic).await?)
    });
    let graph = graph.await?;
    let picture = match args.format() {
        Format::Svg => svg(&graph),
        Format::Mermaid => mermaid(&graph),
    };
    let Some(path) = &args.write else { return session.printer().result(&graph, || picture) };
    std::fs::write(path, picture).map_err(|error| CliError::new(Exit::Failure, format!("write {}", path.display())).because(&error))?;
    // The picture is in the file; a program that asked for JSON still gets its document.
    session.printer().result(&graph, String::new)?;
    session.printer().say(&format!("wrote {}", path.display()));
    Ok(())
}

/// Calls answered now. A mesh that is not proven is drawn all the same.
async fn count(session: &Session, kindmesh: &Kindmesh, fleet: &FleetName) -> Result<Matrix, CliError> {
    let report = kindmesh.verify(fleet, &VerifyOptions::default()).await?;
    if !report.ok {
        session.printer().say("the mesh is not proven, only answered calls are drawn; `kindmesh verify` says why");
    }
    Ok(report.verdict.matrix)
}

/// Calls of an earlier report.
fn read_report(path: &Path) -> Result<Matrix, CliError> {
    let read = |error: &(dyn std::error::Error + 'static), exit| {
        CliError::new(exit, format!("read the report {}", path.display()))
            .because(error)
            .hint("make one with `kindmesh verify -o json > FILE`")
    };
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => read(&error, Exit::NotFound),
        _ => read(&error, Exit::Failure),
    })?;
    let report: VerifyReport = serde_json::from_str(&text).map_err(|error| read(&error, Exit::Config))?;
    Ok(report.verdict.matrix)
}

// === impl GraphArgs ===

impl GraphArgs {
    async fn fleet_name(&self, session: &Session) -> Result<FleetName, CliError> {
        session.fleet_name(self.fleet.as_ref(), self.file.as_deref()).await
    }

    /// The form asked for, or the one that the file's name tells.
    fn format(&self) -> Format {
        let ending = self.write.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
        self.format.unwrap_or(match ending {
            Some("mmd" | "mermaid" | "md") => Format::Mermaid,
            _ => Format::Svg,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(format: Option<Format>, write: Option<&str>) -> GraphArgs {
        GraphArgs { file: None, fleet: None, format, write: write.map(PathBuf::from), calls: false, report: None }
    }

    #[test]
    fn the_form_is_asked_for_or_told_by_the_file() {
        assert_eq!(args(None, None).format(), Format::Svg);
        assert_eq!(args(None, Some("a/fleet.mmd")).format(), Format::Mermaid);
        assert_eq!(args(None, Some("fleet.svg")).format(), Format::Svg);
        assert_eq!(args(Some(Format::Svg), Some("fleet.mmd")).format(), Format::Svg);
    }

    #[test]
    fn reports_are_read_or_refused_with_their_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        assert_eq!(read_report(&path).unwrap_err().kind, Exit::NotFound);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read_report(&path).unwrap_err().kind, Exit::Config);
        let matrix = r#"[{"from":"a","version":"v1","to":"b","calls":3,"p50":0.001,"p95":0.002,"max":1.0}]"#;
        std::fs::write(&path, format!(r#"{{"fleet":"f","ok":true,"clusters":[],"checks":[],"matrix":{matrix},"took":1.0}}"#)).unwrap();
        assert_eq!(read_report(&path).unwrap().cells[0].calls, 3);
    }
}
