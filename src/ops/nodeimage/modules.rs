//! Module files for a Kubernetes version that the recipe does not pin, and the names that
//! version's kubeadm gives to what comes with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::recipe::GoBuild;

/// Import path of Kubernetes.
pub(super) const KUBERNETES: &str = "k8s.io/kubernetes";
/// Where kubeadm keeps the names, in the source of Kubernetes.
pub(super) const CONSTANTS: &str = "cmd/kubeadm/app/constants/constants.go";

/// Variables of a version, and the constant of kubeadm each is.
const NAMES: [(&str, &str); 3] = [("etcd", "DefaultEtcdVersion"), ("coredns", "CoreDNSVersion"), ("pause", "PauseVersion")];

/// `go.mod` of a wrapper around Kubernetes at a version (without `v`), before `go mod tidy`.
///
/// Kubernetes replaces its staging modules by folders of its own tree, which a module that requires
/// it does not inherit; so each is replaced by the published module of the same release.
pub(super) fn wrapper(version: &str, upstream: &str) -> Result<String, String> {
    let line = |prefix: &str| upstream.lines().find_map(|line| line.trim().strip_prefix(prefix)).map(str::trim);
    let go = line("go ").ok_or("its go.mod names no Go version")?;
    let staging = staging_modules(upstream);
    if staging.is_empty() {
        return Err("its go.mod replaces no staging module".to_owned());
    }
    let published = version.strip_prefix("1.").map(|rest| format!("v0.{rest}")).ok_or("only Kubernetes 1.x is known")?;
    let mut text = format!("module kindmesh.dev/node/kubernetes\n\ngo {go}\n\n");
    // Writing to a string cannot fail.
    if let Some(default) = line("godebug default=").or_else(|| line("default=")) {
        let _ = write!(text, "godebug default={default}\n\n");
    }
    let _ = write!(text, "require {KUBERNETES} v{version}\n\nreplace (\n");
    for module in staging {
        let _ = writeln!(text, "\t{module} => {module} {published}");
    }
    text.push_str(")\n");
    Ok(text)
}

/// A file that imports the programs, so that `go mod tidy` keeps what they need.
pub(super) fn tools_file(build: &GoBuild) -> String {
    let mut text =
        "//go:build tools\n\n// Package tools pins the commands that a node image is built from.\npackage tools\n\nimport (\n".to_owned();
    for binary in &build.binaries {
        let _ = writeln!(text, "\t_ \"{}\"", binary.package);
    }
    text.push_str(")\n");
    text
}

/// Reads the names out of kubeadm's constants.
pub(super) fn component_names(constants: &str) -> Result<BTreeMap<String, String>, String> {
    let value = |name: &str| {
        constants.lines().find_map(|line| {
            let rest = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
            rest.strip_prefix('"')?.split('"').next().map(str::to_owned)
        })
    };
    NAMES.iter().map(|(key, name)| Ok(((*key).to_owned(), value(name).ok_or(format!("{CONSTANTS} does not set {name}"))?))).collect()
}

fn staging_modules(upstream: &str) -> Vec<&str> {
    let replaced = upstream.lines().filter_map(|line| line.split_once("=>"));
    let mut modules: Vec<&str> = replaced
        .filter(|(_, target)| target.trim().starts_with("./staging/"))
        .filter_map(|(module, _)| module.trim().trim_start_matches("replace").split_whitespace().next())
        .collect();
    modules.sort_unstable();
    modules.dedup();
    modules
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Binary;
    use super::*;

    #[test]
    fn the_wrapper_replaces_every_staging_module() {
        let upstream = "module k8s.io/kubernetes\n\ngo 1.24.0\n\ngodebug (\n\tdefault=go1.24\n\tx=1\n)\n\nrequire (\n\tk8s.io/api v0.0.0\n)\n\n\
            replace (\n\tk8s.io/client-go => ./staging/src/k8s.io/client-go\n\tk8s.io/api => ./staging/src/k8s.io/api\n\texample.org/a => example.org/b v1.0.0\n)\n";
        let expected = "module kindmesh.dev/node/kubernetes\n\ngo 1.24.0\n\ngodebug default=go1.24\n\nrequire k8s.io/kubernetes v1.35.4\n\nreplace (\n\
            \tk8s.io/api => k8s.io/api v0.35.4\n\tk8s.io/client-go => k8s.io/client-go v0.35.4\n)\n";
        assert_eq!(wrapper("1.35.4", upstream).unwrap(), expected);
        assert!(wrapper("1.35.4", "module x\n\ngo 1.1\n").unwrap_err().contains("staging"));
        assert!(wrapper("2.0.0", upstream).unwrap_err().contains("1.x"));
    }

    #[test]
    fn names_come_from_kubeadms_constants() {
        let source = "const (\n\t// DefaultEtcdVersion is\n\tDefaultEtcdVersion = \"3.6.5-0\"\n\tCoreDNSVersion = \"v1.12.1\"\n\tPauseVersion = \"3.10.1\"\n)\n";
        let names = component_names(source).unwrap();
        assert_eq!(
            names.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["coredns=v1.12.1", "etcd=3.6.5-0", "pause=3.10.1"]
        );
        assert!(component_names("").unwrap_err().contains("DefaultEtcdVersion"));
    }

    #[test]
    fn the_tools_file_imports_each_program() {
        let binaries = vec![Binary { package: "k8s.io/kubernetes/cmd/kubectl".into(), name: "kubectl".into() }];
        let build = GoBuild { name: "k".into(), dir: "d".into(), tags: Vec::new(), ldflags: String::new(), mends: Vec::new(), binaries };
        assert!(tools_file(&build).contains("import (\n\t_ \"k8s.io/kubernetes/cmd/kubectl\"\n)"));
    }
}
