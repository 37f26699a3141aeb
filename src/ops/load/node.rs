//! Questions to a node, and answers.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, ExecOutput, ExecRequest};

use super::scripts::{NAMESPACE, SURVEY};
use super::wanted::Wanted;

/// How far an image has come in a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There, under all its names.
    Whole,
    /// Its content is there.
    Unnamed,
    /// Not there.
    Missing,
}

/// What a node's containerd holds and what the node can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Architecture in Go's spelling.
    pub(super) architecture: String,
    /// Where layers are unpacked.
    pub(super) snapshotter: String,
    /// Blobs, by digest.
    pub(super) content: BTreeSet<String>,
    /// Unpacked stacks of layers, by chain ID.
    pub(super) stacks: BTreeSet<String>,
    /// Programs that it lacks.
    pub(super) lacks: Vec<String>,
}

/// Asks which of some images a node has.
pub(super) async fn presence(
    engine: &dyn Engine,
    node: &str,
    wanted: &[Wanted],
    cancel: &CancellationToken,
) -> Result<Vec<Presence>, String> {
    let filter = |name: &str| format!("name==\"{name}\"");
    let filters = wanted.iter().flat_map(|image| image.names.iter().chain([&image.id])).map(|name| filter(name));
    let command = ["ctr", "--namespace", NAMESPACE, "images", "ls"].map(str::to_owned).into_iter().chain(filters);
    let output = run(engine, node, ExecRequest::new(command), cancel).await?;
    let table = output.stdout_text();
    let digests = image_digests(&table);
    Ok(wanted.iter().map(|image| image_presence(image, &digests)).collect())
}

/// Gives content that is there its names.
pub(super) async fn tag(engine: &dyn Engine, node: &str, image: &Wanted, cancel: &CancellationToken) -> Result<(), String> {
    let command = ["ctr", "--namespace", NAMESPACE, "images", "tag", "--force", &image.id].map(str::to_owned);
    let command = command.into_iter().chain(image.names.iter().cloned());
    run(engine, node, ExecRequest::new(command), cancel).await.map(drop)
}

/// Asks what a node's containerd holds.
pub(super) async fn survey(engine: &dyn Engine, node: &str, cancel: &CancellationToken) -> Result<Survey, String> {
    let output = run(engine, node, ExecRequest::new(["sh", "-c", SURVEY]), cancel).await?;
    Ok(Survey::parse(&output.stdout_text()))
}

/// Runs a command that must succeed.
pub(super) async fn run(engine: &dyn Engine, node: &str, request: ExecRequest, cancel: &CancellationToken) -> Result<ExecOutput, String> {
    let program = request.cmd.first().cloned().unwrap_or_default();
    let output = engine.exec(node, request, cancel).await.map_err(|error| error.to_string())?;
    match output.exit_code {
        0 => Ok(output),
        code => Err(format!("{program} ended with exit code {code}: {}", output.tail(3).replace('\n', "; "))),
    }
}

/// Image names with the digests they stand for, out of the table that `ctr images ls` prints.
fn image_digests(table: &str) -> BTreeMap<&str, &str> {
    let row = |line| -> Option<(&str, &str)> {
        let mut columns = str::split_whitespace(line);
        let name = columns.next()?;
        Some((name, columns.nth(1).filter(|digest| digest.starts_with("sha256:"))?))
    };
    table.lines().filter_map(row).collect()
}

/// containerd's Kubernetes part keeps a second name for each image: the digest of its configuration.
fn image_presence(image: &Wanted, digests: &BTreeMap<&str, &str>) -> Presence {
    let by_id = digests.get(image.id.as_str()).copied();
    let stands_for_it = |digest: &str| digest == image.id || Some(digest) == by_id;
    let named = image.names.iter().all(|name| digests.get(name.as_str()).is_some_and(|digest| stands_for_it(digest)));
    match (named, by_id) {
        (true, _) => Presence::Whole,
        (false, Some(_)) => Presence::Unnamed,
        (false, None) => Presence::Missing,
    }
}

// === impl Survey ===

impl Survey {
    fn parse(text: &str) -> Self {
        let mut survey = Self { snapshotter: "overlayfs".to_owned(), ..Self::default() };
        for (key, value) in text.lines().filter_map(|line| line.trim().split_once(' ')) {
            let value = value.to_owned();
            match key {
                "machine" => survey.architecture = go_architecture(&value).to_owned(),
                "snapshotter" => survey.snapshotter = value,
                "content" => drop(survey.content.insert(value)),
                "snapshot" => drop(survey.stacks.insert(value)),
                "lacks" => survey.lacks.push(value),
                _ => {}
            }
        }
        survey
    }
}

/// Go's word for what `uname -m` says.
fn go_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Wanted {
        Wanted {
            reference: "a".into(),
            names: vec!["docker.io/library/a:latest".into()],
            id: "sha256:c0".into(),
            layers: Vec::new(),
            plain: true,
        }
    }

    #[test]
    fn presence_is_read_off_the_table() {
        let header = "REF TYPE DIGEST SIZE PLATFORMS LABELS \n";
        let seen = |rows: &str| image_presence(&image(), &image_digests(&format!("{header}{rows}")));
        let named = "docker.io/library/a:latest application/x sha256:aa 1.0 MiB linux/amd64 - \n";
        assert_eq!(seen(""), Presence::Missing);
        assert_eq!(seen(named), Presence::Missing, "the name stands for something else");
        assert_eq!(seen("sha256:c0 application/x sha256:aa -  linux/amd64 - \n"), Presence::Unnamed);
        assert_eq!(seen(&format!("{named}sha256:c0 application/x sha256:aa - - - \n")), Presence::Whole);
        assert_eq!(seen(&format!("{named}sha256:c0 application/x sha256:bb - - - \n")), Presence::Unnamed);
        // With a containerd store the engine's ID is what the name stands for.
        assert_eq!(seen("docker.io/library/a:latest application/x sha256:c0 - - - \n"), Presence::Whole);
    }

    #[test]
    fn a_survey_is_read_line_by_line() {
        let survey =
            Survey::parse("machine x86_64\nlacks mknod\nsnapshotter native\ncontent sha256:a\nsnapshot sha256:b\nsnapshot sha256:c\n");
        assert_eq!((survey.architecture.as_str(), survey.snapshotter.as_str()), ("amd64", "native"));
        assert_eq!((survey.content.len(), survey.stacks.len(), survey.lacks.as_slice()), (1, 2, ["mknod".to_owned()].as_slice()));
    }
}
