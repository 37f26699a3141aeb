use std::path::{Path, PathBuf};

use super::*;
use crate::domain::mesh::{IstioSpec, MeshSpec, RootCaFiles};
use crate::ops::charts::ChartSource;
use crate::ops::error::ErrorKind;
use crate::ops::mesh::input::MeshInput;

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn istio(istio: IstioSpec) -> MeshSpec {
    MeshSpec { istio, ..MeshSpec::default() }
}

async fn refusal(spec: &MeshSpec, folder: &Path) -> (ErrorKind, String) {
    let error = MeshInput::read(spec, now()).await.unwrap_err();
    (error.kind(), error.one_line().replace(&folder.display().to_string(), "$DIR"))
}

#[tokio::test]
async fn every_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let root = root();
    let spec = MeshSpec {
        istio: IstioSpec {
            charts: Some(dir.to_path_buf()),
            values_files: vec![write(dir, "a.yaml", "pilot: {replicas: 2}\n"), write(dir, "b.yaml", "# nothing\n")],
            operator: Some(write(dir, "o.yaml", "kind: IstioOperator\n")),
            ..IstioSpec::default()
        },
        root_ca: Some(RootCaFiles {
            certificate: write(dir, "ca.pem", root.certificate()),
            key: write(dir, "key.pem", root.key().expose()),
        }),
        ..MeshSpec::default()
    };
    let input = MeshInput::read(&spec, now()).await.unwrap();
    assert_eq!(input.values[0].1["pilot"], serde_json::json!({"replicas": 2}));
    assert!(input.values[1].1.is_empty());
    assert_eq!(input.operator.unwrap().1, "kind: IstioOperator\n");
    assert_eq!(input.root, Some(root));
    assert_eq!(input.charts, Some(ChartSource::Folder(dir.to_path_buf())));
    let archive = write(dir, "istio-1.31.1.tar.gz", "");
    let spec = istio(IstioSpec { charts: Some(archive.clone()), ..IstioSpec::default() });
    assert_eq!(MeshInput::read(&spec, now()).await.unwrap().charts, Some(ChartSource::Archive(archive)));
    assert_eq!(MeshInput::read(&MeshSpec::default(), now()).await.unwrap(), MeshInput::default());
}

#[tokio::test]
async fn what_is_missing_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let none = || Some(dir.join("none"));
    let missing = |what: &str| (ErrorKind::NotFound, format!("read {what} $DIR/none: No such file or directory (os error 2)"));
    let spec = istio(IstioSpec { values_files: vec![dir.join("none")], ..IstioSpec::default() });
    assert_eq!(refusal(&spec, dir).await, missing("the values file"));
    assert_eq!(refusal(&istio(IstioSpec { operator: none(), ..IstioSpec::default() }), dir).await, missing("the IstioOperator file"));
    assert_eq!(refusal(&istio(IstioSpec { charts: none(), ..IstioSpec::default() }), dir).await, missing("the charts"));
    let certificate = write(dir, "ca.pem", root().certificate());
    let of = |certificate: PathBuf, key: PathBuf| MeshSpec { root_ca: Some(RootCaFiles { certificate, key }), ..MeshSpec::default() };
    assert_eq!(refusal(&of(dir.join("none"), certificate.clone()), dir).await, missing("the root certificate"));
    assert_eq!(refusal(&of(certificate.clone(), dir.join("none")), dir).await, missing("the root key"));
    let key = write(dir, "key.pem", root().key().expose());
    let message = "cannot use $DIR/ca.pem with $DIR/key.pem: the root key is not the key of the root certificate".to_owned();
    assert_eq!(refusal(&of(certificate, key), dir).await, (ErrorKind::Config, message));
}

#[tokio::test]
async fn what_is_not_what_it_should_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let file = write(dir, "file", "");
    let (kind, text) = refusal(&istio(IstioSpec { charts: Some(file), ..IstioSpec::default() }), dir).await;
    assert_eq!((kind, text.as_str()), (ErrorKind::Config, "the charts $DIR/file are neither a folder nor a .tgz or .tar.gz archive"));
    for (text, words) in [
        ("- a\n", "it holds no mapping"),
        ("text\n", "it holds no mapping"),
        ("a: {\n", "line 1, column 4: "),
        ("a: 1\n---\nb: 2\n", "multiple"),
    ] {
        let spec = istio(IstioSpec { values_files: vec![write(dir, "v.yaml", text)], ..IstioSpec::default() });
        let (kind, said) = refusal(&spec, dir).await;
        assert_eq!(kind, ErrorKind::Config);
        assert!(said.starts_with("the values file $DIR/v.yaml: ") && said.contains(words), "{said}");
    }
}
