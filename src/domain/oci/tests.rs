use bytes::Bytes;
use serde_json::{Value, json};

use super::*;

fn digest(text: &str) -> String {
    sha256_digest(text.as_bytes())
}

fn layer(contents: &mut Contents, path: &str, content: &str) -> String {
    let digest = digest(content);
    contents.blob(path, Blob { size: content.len() as u64, digest: digest.clone(), packing: Packing::Plain });
    digest
}

fn add(contents: &mut Contents, path: &str, document: &Value) -> (String, usize) {
    let text = document.to_string();
    contents.document(path, Bytes::from(text.clone()));
    (digest(&text), text.len())
}

fn config(os: &str, architecture: &str, layers: &[String]) -> Value {
    json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": layers}})
}

fn blob(contents: &mut Contents, document: &Value) -> (String, usize) {
    let path = blob_path(&digest(&document.to_string()));
    add(contents, &path, document)
}

/// An image of an OCI layout; returns its descriptor.
fn oci_image(contents: &mut Contents, os: &str, architecture: &str, content: &str) -> Value {
    let layer = layer(contents, &blob_path(&digest(content)), content);
    let (config, size) = blob(contents, &config(os, architecture, std::slice::from_ref(&layer)));
    let manifest =
        json!({"schemaVersion": 2, "config": {"digest": config, "size": size}, "layers": [{"digest": layer, "size": content.len()}]});
    let (digest, size) = blob(contents, &manifest);
    json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size})
}

#[test]
fn stacks_are_named_as_the_specification_says() {
    let layers = [digest("a"), digest("b"), digest("c")];
    let chain = chain_ids(&layers);
    assert_eq!(chain[0], layers[0]);
    assert_eq!(chain[1], digest(&format!("{} {}", layers[0], layers[1])));
    assert_eq!(chain[2], digest(&format!("{} {}", chain[1], layers[2])));
}

#[test]
fn an_archive_of_an_old_engine_becomes_an_image_with_a_manifest() {
    let mut contents = Contents::default();
    let lower = layer(&mut contents, "aa/layer.tar", "lower");
    let upper = layer(&mut contents, "bb/layer.tar", "upper");
    contents.link("cc/layer.tar", "../aa/layer.tar");
    let layers = [lower.clone(), upper.clone(), lower.clone()];
    let (id, _) = add(&mut contents, "x.json", &config("linux", "amd64", &layers));
    let list = json!([{"Config": "x.json", "RepoTags": ["shop:dev"], "Layers": ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"]}]);
    add(&mut contents, "manifest.json", &list);
    let image = contents.images("amd64").unwrap().remove(0);
    assert_eq!((image.config.as_str(), image.names.as_slice()), (id.as_str(), ["docker.io/library/shop:dev".to_owned()].as_slice()));
    assert_eq!(image.layers.iter().map(|layer| layer.diff_id.clone()).collect::<Vec<_>>(), layers);
    let manifest: Value = serde_json::from_slice(&image.documents[0].1).unwrap();
    assert_eq!(manifest["layers"][1]["digest"], upper);
    assert_eq!(image.descriptor["digest"], sha256_digest(&image.documents[0].1));
    let index: Value = serde_json::from_str(&index([("docker.io/library/shop:dev", &image.descriptor)])).unwrap();
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/shop:dev");
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "dev");
}

#[test]
fn a_layer_that_is_another_than_it_should_be_is_told() {
    let mut contents = Contents::default();
    layer(&mut contents, "aa/layer.tar", "damaged");
    add(&mut contents, "x.json", &config("linux", "amd64", &[digest("whole")]));
    add(&mut contents, "manifest.json", &json!([{"Config": "x.json", "RepoTags": ["a"], "Layers": ["aa/layer.tar"]}]));
    assert!(contents.images("amd64").unwrap_err().to_string().contains("damaged"));
}

#[test]
fn of_several_platforms_the_nodes_own_is_chosen() {
    let mut contents = Contents::default();
    contents.document("oci-layout", Bytes::from_static(LAYOUT.as_bytes()));
    let (ours, other) = (oci_image(&mut contents, "linux", "amd64", "ours"), oci_image(&mut contents, "linux", "arm64", "other"));
    let statement = oci_image(&mut contents, "unknown", "unknown", "statement");
    // Named, and not there: an engine's store holds what was pulled.
    let absent = json!({"digest": digest("absent"), "platform": {"os": "linux", "architecture": "amd64"}});
    let (all, size) = blob(&mut contents, &json!({"schemaVersion": 2, "manifests": [statement, absent, other, ours]}));
    let entry = json!({"digest": all, "size": size, "annotations": {"io.containerd.image.name": "docker.io/library/shop:dev"}});
    add(&mut contents, "index.json", &json!({"schemaVersion": 2, "manifests": [entry]}));
    let image = contents.images("amd64").unwrap().remove(0);
    assert_eq!(image.layers[0].diff_id, digest("ours"));
    assert_eq!(image.descriptor["digest"], all, "it keeps the digest that the engine knows it by");
    assert_eq!(image.documents.len(), 3, "index, manifest, configuration");
    let refused = contents.images("s390x").unwrap_err().to_string();
    assert!(refused.contains("linux/amd64, linux/arm64") && refused.contains("linux/s390x") && refused.contains("shop:dev"), "{refused}");
}

#[test]
fn names_come_from_either_list() {
    let mut contents = Contents::default();
    contents.document("oci-layout", Bytes::from_static(LAYOUT.as_bytes()));
    let image = oci_image(&mut contents, "linux", "amd64", "x");
    let mut named = image.clone();
    named["annotations"] = json!({"org.opencontainers.image.ref.name": "ghcr.example/a/b:1"});
    let mut again = image.clone();
    again["annotations"] = json!({"io.containerd.image.name": "docker.io/library/b:2"});
    add(&mut contents, "index.json", &json!({"manifests": [named, again]}));
    assert_eq!(contents.images("amd64").unwrap()[0].names, ["ghcr.example/a/b:1", "docker.io/library/b:2"]);
    add(&mut contents, "index.json", &json!({"manifests": [image]}));
    let config = blob_path(&contents.images("amd64").unwrap()[0].config);
    add(&mut contents, "manifest.json", &json!([{"Config": config, "RepoTags": ["c:3"], "Layers": []}]));
    assert_eq!(contents.images("amd64").unwrap()[0].names, ["docker.io/library/c:3"]);
}

#[test]
fn what_is_no_archive_of_images_is_told() {
    assert_eq!(Contents::default().images("amd64"), Err(OciError::NoImages));
    let mut contents = Contents::default();
    add(&mut contents, "manifest.json", &json!([{"Config": "gone.json", "Layers": []}]));
    assert!(contents.images("amd64").unwrap_err().to_string().contains("gone.json is missing"));
}

/// Folders and descriptions as engine 20.10 wrote them, for an image of three layers.
#[test]
fn layers_of_old_engines_are_known_by_their_descriptions() {
    let layers = ["one", "two", "three"].map(digest);
    let stacks = chain_ids(&layers);
    let empty = r#""container_config":{"Hostname":"","Env":null,"Labels":{"a":"x,\"y\"}"}}"#;
    let created = r#""created":"1970-01-01T00:00:00Z""#;
    let id = |document: String| digest(&document).trim_start_matches("sha256:").to_owned();
    // As the engine makes them: the two lower ones without an operating system, the last with everything.
    let lowest = id(format!(r#"{{{empty},{created},"layer_id":"{}"}}"#, stacks[0]));
    let middle = id(format!(r#"{{{empty},{created},"layer_id":"{}","parent":"sha256:{lowest}"}}"#, stacks[1]));
    let top = id(format!(
        r#"{{"architecture":"amd64","config":{{"Cmd":["/x"]}},{empty},{created},"layer_id":"{}","os":"linux","parent":"sha256:{middle}"}}"#,
        stacks[2]
    ));
    let known = LegacyLayers::new([layers.as_slice()]);
    let seen = |folder: &str, description: String| known.identify(folder, &description).map(str::to_owned);
    assert_eq!(seen(&lowest, format!(r#"{{"id":"{lowest}",{created},{empty},"os":"linux"}}"#)), Some(layers[0].clone()));
    assert_eq!(
        seen(&middle, format!(r#"{{"id":"{middle}","parent":"{lowest}",{created},{empty},"os":"linux"}}"#)),
        Some(layers[1].clone())
    );
    let rest = format!(r#"{created},{empty},"config":{{"Cmd":["/x"]}},"architecture":"amd64","os":"linux""#);
    assert_eq!(seen(&top, format!(r#"{{"id":"{top}","parent":"{middle}",{rest}}}"#)), Some(layers[2].clone()));
    assert_eq!(seen(&top, format!(r#"{{"id":"{top}","parent":"{lowest}",{rest}}}"#)), None);
    assert_eq!(seen(&top, "no document".to_owned()), None);
}
