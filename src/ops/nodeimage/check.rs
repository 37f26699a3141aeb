//! Whether a recipe is whole: what it names must be there, before anything is done.

use std::collections::BTreeSet;

use super::files::Files;
use super::parts::{Export, Seed, Wheel};
use super::recipe::{Recipe, parse_mode};

/// Version of the recipe's format that this code reads.
const SCHEMA: u32 = 1;

// === impl Recipe ===

impl Recipe {
    /// Says what is wrong with the recipe, if anything is.
    pub fn check(&self, files: &Files) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema {} is not the {SCHEMA} that this version reads", self.schema));
        }
        if !self.kubernetes.versions.contains_key(&self.kubernetes.default) {
            return Err(format!("the default version {} is not listed", self.kubernetes.default));
        }
        if !self.reference.contains("{kubernetes}") {
            return Err(format!("the reference {} does not name the version", self.reference));
        }
        let mut names = BTreeSet::new();
        let built = self.builds.iter().flat_map(|build| &build.binaries).map(|binary| &binary.name);
        for name in built.chain(self.wheels.iter().flat_map(|wheel| &wheel.programs).map(|program| &program.name)) {
            if !names.insert(name.as_str()) {
                return Err(format!("two builds make a program {name}"));
            }
        }
        let used = self.images.iter().flat_map(|image| &image.files).chain(&self.node.binaries).map(|file| &file.binary);
        let used = used.chain(self.seed.iter().flat_map(Seed::programs));
        if let Some(unknown) = used.into_iter().find(|name| !names.contains(name.as_str())) {
            return Err(format!("no build makes the program {unknown}"));
        }
        let mut names = BTreeSet::new();
        let seeds = self.seed.iter().flat_map(|seed| seed.files.clone());
        for name in self.exports.iter().flat_map(Export::names).chain(seeds) {
            if !names.insert(name.clone()) {
                return Err(format!("two exports make a file {name}"));
            }
        }
        let used = self.images.iter().flat_map(|image| &image.exported).chain(&self.node.exported);
        if let Some(unknown) = used.map(|file| &file.file).find(|name| !names.contains(*name)) {
            return Err(format!("no export makes the file {unknown}"));
        }
        for export in &self.exports {
            if !["go.mod", "go.sum"].iter().all(|name| files.get(&format!("{}/{name}", export.dir)).is_some()) {
                return Err(format!("the folder {} of export {} holds no module", export.dir, export.name));
            }
        }
        self.wheels.iter().try_for_each(Wheel::check)?;
        let roots = self.images.iter().map(|image| &image.root).filter(|root| *root != "scratch").chain([&self.node.root]);
        if let Some(unknown) = roots.into_iter().find(|root| !self.roots.contains_key(*root)) {
            return Err(format!("there is no root {unknown}"));
        }
        let named = || self.roots.values().flat_map(|root| &root.files).chain(&self.node.files);
        if let Some(file) = named().find(|file| files.get(&file.src).is_none()) {
            return Err(format!("the file {} is missing", file.src));
        }
        let folders = self.images.iter().flat_map(|image| &image.directories).chain(&self.node.directories);
        let modes = named().map(|file| &file.mode).chain(folders.map(|one| &one.mode));
        for mode in modes {
            parse_mode(mode)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recipe_names_must_be_there() {
        let files = Files::built_in();
        let broken = |change: fn(&mut Recipe)| {
            let mut recipe = Recipe::read(&files).unwrap();
            change(&mut recipe);
            recipe.check(&files).unwrap_err()
        };
        assert!(broken(|recipe| recipe.schema = 2).contains("schema 2"));
        assert!(broken(|recipe| recipe.node.binaries[0].binary = "kubeadmm".into()).contains("kubeadmm"));
        assert!(broken(|recipe| recipe.node.root = "nood".into()).contains("no root nood"));
        assert!(broken(|recipe| recipe.node.files[0].src = "node/entry".into()).contains("node/entry is missing"));
        assert!(broken(|recipe| recipe.node.files[0].mode = "x".into()).contains("'x' is no file mode"));
        assert!(broken(|recipe| recipe.builds[1].binaries[0].name = "kubectl".into()).contains("two builds"));
        assert!(broken(|recipe| recipe.wheels[0].programs[0].name = "kubectl".into()).contains("two builds"));
        assert!(broken(|recipe| recipe.wheels[0].sha256.values_mut().for_each(|hash| hash.push('0'))).contains("envoy"));
        assert!(broken(|recipe| recipe.exports[0].charts[0].name = "gateway".into()).contains("two exports make a file gateway.tgz"));
        assert!(broken(|recipe| recipe.exports[0].dir = "modules/istia".into()).contains("modules/istia of export istio"));
        assert!(broken(|recipe| recipe.seed.as_mut().unwrap().maker = "sed".into()).contains("program sed"));
        assert!(broken(|recipe| recipe.node.exported[0].file = "bass.tgz".into()).contains("bass.tgz"));
        assert!(
            broken(|recipe| recipe.images.iter_mut().for_each(|image| image.directories.iter_mut().for_each(|one| one.mode = "x".into())))
                .contains("'x' is no file mode")
        );
    }
}
