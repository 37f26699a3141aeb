//! What the recipe puts on top of Debian: files, folders, links and what systemd starts.

use std::collections::BTreeMap;

use super::archive::{Empty, ImageConfig};
use super::files::Files;
use super::layer::Tree;
use super::plan::Inputs;
use super::recipe::{ComponentImage, Directory, NodeFile, Root, Symlink, parse_mode};
use super::tarball::Meta;
use super::variables::Variables;

/// Where systemd looks for units and links an administrator made.
const UNITS: &str = "etc/systemd/system";

/// The node's own files.
pub(super) fn node_tree(inputs: &Inputs) -> Tree {
    let node = &inputs.recipe.node;
    let mut tree = Tree::default();
    add_files(&mut tree, &node.files, &node.symlinks, &inputs.files, &inputs.variables);
    add_folders(&mut tree, &node.directories);
    for unit in &node.units.enable {
        let name = unit.unit.rsplit('/').next().unwrap_or(&unit.unit);
        tree.symlink(&format!("{UNITS}/{}.wants/{name}", unit.wanted_by), &unit.unit);
    }
    for unit in &node.units.mask {
        tree.symlink(&format!("{UNITS}/{unit}"), "/dev/null");
    }
    tree
}

/// The folders of a container image.
pub(super) fn image_tree(image: &ComponentImage) -> Tree {
    let mut tree = Tree::default();
    add_folders(&mut tree, &image.directories);
    tree
}

/// The recipe's files on top of a Debian root; often none.
pub(super) fn root_tree(root: &Root, files: &Files, variables: &Variables) -> Tree {
    let mut tree = Tree::default();
    add_files(&mut tree, &root.files, &root.symlinks, files, variables);
    tree
}

/// How a node's container runs, with these labels besides the recipe's.
pub(super) fn config(inputs: &Inputs, labels: BTreeMap<String, String>) -> ImageConfig {
    let config = &inputs.recipe.node.config;
    let own = config.labels.iter().map(|(key, value)| (key.clone(), inputs.variables.fill(value)));
    ImageConfig {
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        stop_signal: config.stop_signal.clone(),
        volumes: config.volumes.iter().map(|path| (path.clone(), Empty {})).collect(),
        labels: own.chain(labels).collect(),
        ..ImageConfig::default()
    }
}

fn add_files(tree: &mut Tree, files: &[NodeFile], symlinks: &[Symlink], folder: &Files, variables: &Variables) {
    for file in files {
        // The recipe was checked when it was read: the file is there.
        let content = folder.get(&file.src).unwrap_or_default().to_vec();
        let content = match (file.template, String::from_utf8(content)) {
            (true, Ok(text)) => variables.fill(&text).into_bytes(),
            (false, Ok(text)) => text.into_bytes(),
            (_, Err(binary)) => binary.into_bytes(),
        };
        tree.bytes(&file.to, mode(&file.mode), content);
    }
    for link in symlinks {
        tree.symlink(&link.path, &link.target);
    }
}

fn add_folders(tree: &mut Tree, folders: &[Directory]) {
    for folder in folders {
        tree.folder(&folder.path, Meta::owned_by(mode(&folder.mode), folder.owner));
    }
}

/// Modes were checked when the recipe was read.
fn mode(text: &str) -> u32 {
    parse_mode(text).unwrap_or(0o644)
}
