//! Each kind of step: its name, what it follows from and what comes before it.

use std::collections::BTreeMap;

use super::digest::Fingerprint;
use super::layer::Tree;
use super::modules::tools_file;
use super::nodefiles;
use super::plan::{Inputs, Plan, Step, Work};

// === impl Plan ===

impl Plan {
    fn add(&mut self, name: String, work: Work, key: Option<Fingerprint>, after: Vec<usize>) -> usize {
        self.steps.push(Step { name, work, key: key.map(Fingerprint::finish), after });
        self.steps.len() - 1
    }

    pub fn add_build(&mut self, inputs: &Inputs, index: usize) {
        let module = self.module(inputs, index);
        let (build, files) = (module.build.clone(), module.files);
        let mut key = Fingerprint::new("compile", 1)
            .field("go", &inputs.toolchain.version)
            .field("settings", json(&inputs.recipe.go))
            .field("build", json(&build));
        let mut after = Vec::new();
        if files.is_empty() {
            let resolve = Fingerprint::new("resolve", 1)
                .field("go", &inputs.toolchain.version)
                .field("version", inputs.variables.fill("{kubernetes}"))
                .field("tools", tools_file(&build));
            key.add("modules", resolve.clone().finish());
            after.push(self.add(format!("resolve modules of {}", build.name), Work::Resolve(index), Some(resolve), vec![]));
        }
        for (path, content) in &files {
            key.add(path, content);
        }
        let fetch = self.add(format!("fetch {}", build.name), Work::Fetch(index), None, after);
        self.add(format!("compile {}", build.name), Work::Compile(index), Some(key), vec![fetch]);
    }

    pub fn add_wheel(&mut self, inputs: &Inputs, index: usize) {
        let wheel = &inputs.recipe.wheels[index];
        let key = Fingerprint::new("wheel", 1).field("architecture", &inputs.toolchain.architecture).field("wheel", json(wheel));
        self.add(format!("fetch {}", wheel.name), Work::Wheel(index), Some(key), vec![]);
    }

    pub fn add_export(&mut self, inputs: &Inputs, index: usize) {
        let export = &self.exports[index];
        let mut key = Fingerprint::new("export", 1).field("export", json(export));
        for name in ["go.mod", "go.sum"] {
            key.add(name, inputs.files.get(&format!("{}/{name}", export.dir)).unwrap_or_default());
        }
        self.add(format!("export files of {}", export.name), Work::Export(index), Some(key), vec![]);
    }

    pub fn add_seed(&mut self, inputs: &Inputs) {
        let Some(seed) = &inputs.recipe.seed else { return };
        let mut key = Fingerprint::new("seed", 1).field("seed", json(seed));
        let works: Vec<Work> = seed.programs().into_iter().filter_map(|program| self.maker_of(inputs, program)).collect();
        let after = self.depend(&mut key, &works);
        self.add("seed the database".to_owned(), Work::Seed, Some(key), after);
    }

    pub fn add_root(&mut self, inputs: &Inputs, name: &str) {
        let Some(root) = inputs.recipe.roots.get(name) else { return };
        let mut key = Fingerprint::new("root", 1)
            .field("mmdebstrap", &inputs.mmdebstrap)
            .field("suite", &inputs.recipe.suite)
            .field("architecture", &inputs.toolchain.architecture)
            .field("variant", &root.variant)
            .field("packages", json(&root.packages))
            .field("remove", json(&root.remove));
        if !root.moves.is_empty() {
            key = key.field("move", json(&root.moves));
        }
        self.add(format!("make Debian root {name}"), Work::Root(name.to_owned()), Some(key), vec![]);
    }

    pub fn add_store(&mut self, inputs: &Inputs) {
        let node_root = Work::Root(inputs.recipe.node.root.clone());
        let roots = self.images.iter().filter(|image| image.root != "scratch").map(|image| image.root.clone());
        let mut works: Vec<Work> = roots.map(Work::Root).chain([node_root]).collect();
        works.extend(self.images.iter().flat_map(|image| &image.files).filter_map(|file| self.maker_of(inputs, &file.binary)));
        works.extend(self.images.iter().flat_map(|image| &image.exported).filter_map(|file| self.exporter_of(inputs, &file.file)));
        let mut key = Fingerprint::new("store", 1)
            .field("images", json(&self.images))
            .field("defaults", json(&inputs.recipe.image_defaults))
            .field("store", json(&inputs.recipe.node.store));
        for (name, root) in &inputs.recipe.roots {
            key = nodefiles::root_tree(root, &inputs.files, &inputs.variables).fingerprint(key.field("files of root", name));
        }
        let after = self.depend(&mut key, &works);
        self.add("fill the image store".to_owned(), Work::Store, Some(key), after);
    }

    pub fn add_image(&mut self, inputs: &Inputs) {
        let node = &inputs.recipe.node;
        let mut works = vec![Work::Root(node.root.clone()), Work::Store];
        works.extend(node.binaries.iter().filter_map(|file| self.maker_of(inputs, &file.binary)));
        works.extend(node.exported.iter().filter_map(|file| self.exporter_of(inputs, &file.file)));
        let mut key = Fingerprint::new("image", 1)
            .field("binaries", json(&node.binaries))
            .field("exported", json(&node.exported))
            .field("config", json(&nodefiles::config(inputs, BTreeMap::new())));
        key = nodefiles::node_tree(inputs).fingerprint(key);
        let after = self.depend(&mut key, &works);
        self.add("assemble the node image".to_owned(), Work::Image, Some(key), after);
    }

    /// Adds the keys of some steps to a key; returns their indices, each once.
    fn depend(&self, key: &mut Fingerprint, works: &[Work]) -> Vec<usize> {
        let mut after: Vec<usize> = works.iter().filter_map(|work| self.find(work)).map(|(index, _)| index).collect();
        after.sort_unstable();
        after.dedup();
        for index in &after {
            key.add(&self.steps[*index].name, self.steps[*index].key.as_deref().unwrap_or_default());
        }
        after
    }
}

// === impl Tree ===

impl Tree {
    /// Adds everything in the tree to a key.
    pub fn fingerprint(&self, key: Fingerprint) -> Fingerprint {
        self.describe().fold(key, |key, (path, what)| key.field(path, what))
    }
}

/// A part of the recipe as text that says all of it.
fn json(part: &impl serde::Serialize) -> Vec<u8> {
    // Plain structs of strings always serialize.
    serde_json::to_vec(part).unwrap_or_default()
}
