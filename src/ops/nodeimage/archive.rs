//! Image archives as `docker save` writes them, made layer by layer on the fly.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;
use tar::{Builder, Header};
use tokio_util::sync::CancellationToken;

use super::digest::sha256;
use super::layer::Layer;
use super::tarball::EPOCH;

/// One image: names, configuration and layers, lowest first.
#[derive(Debug, Clone)]
pub(super) struct ImageArchive {
    /// Names, each with a tag.
    pub references: Vec<String>,
    /// Architecture in Go's spelling.
    pub architecture: String,
    /// How it runs.
    pub config: ImageConfig,
    /// Layers with what made them, lowest first.
    pub layers: Vec<(String, Layer)>,
}

/// How containers of an image run; field names are those of the image format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
}

/// `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Empty {}

// === impl ImageArchive ===

impl ImageArchive {
    /// The configuration document.
    fn document(&self) -> Vec<u8> {
        let created = "1980-01-01T00:00:00Z";
        let history: Vec<_> = self.layers.iter().map(|(made_by, _)| json!({"created": created, "created_by": made_by})).collect();
        let diff_ids: Vec<_> = self.layers.iter().map(|(_, layer)| format!("sha256:{}", layer.diff_id)).collect();
        let document = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": created,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        // `Value` prints without failing: its keys are strings.
        document.to_string().into_bytes()
    }

    /// Digest of the configuration (`sha256:…`): the image's ID, and how containerd's CRI knows it.
    pub fn config_digest(&self) -> String {
        format!("sha256:{}", sha256(&self.document()))
    }

    /// Writes the archive, without the content of `omitted` layers (by index), which the engine must
    /// have. Layers that appear twice are written once. Blocking.
    pub fn write_to(&self, out: &mut dyn Write, omitted: &[usize], cancel: &CancellationToken) -> io::Result<()> {
        let mut builder = Builder::new(out);
        let document = self.document();
        let config = format!("{}.json", sha256(&document));
        let paths: Vec<String> = self.layers.iter().map(|(_, layer)| format!("{}/layer.tar", layer.diff_id)).collect();
        let manifest = json!([{"Config": config, "RepoTags": self.references, "Layers": paths}]).to_string();
        builder.append_data(&mut header(document.len() as u64), &config, document.as_slice())?;
        for (index, (_, layer)) in self.layers.iter().enumerate() {
            if omitted.contains(&index) || paths[..index].contains(&paths[index]) {
                continue;
            }
            // The length is known beforehand, so the layer can go straight through.
            builder.append_data(&mut header(layer.size), &paths[index], io::empty())?;
            layer.write_to(builder.get_mut(), cancel)?;
            pad(builder.get_mut(), layer.size)?;
        }
        builder.append_data(&mut header(manifest.len() as u64), "manifest.json", manifest.as_bytes())?;
        builder.into_inner()?.flush()
    }
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(EPOCH);
    header.set_size(size);
    header
}

/// Archives are made of blocks of 512 bytes.
fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let short = (512 - size % 512) % 512;
    io::copy(&mut io::Read::take(io::repeat(0), short), out).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::layer::Tree;
    use super::*;

    fn image(content: &str) -> ImageArchive {
        let cancel = CancellationToken::new();
        let mut tree = Tree::default();
        tree.bytes("pause", 0o755, content.as_bytes().to_vec());
        let layer = Layer::from_tree(tree, &cancel).unwrap();
        ImageArchive {
            references: vec!["registry.example/pause:1".into()],
            architecture: "amd64".into(),
            config: ImageConfig { entrypoint: vec!["/pause".into()], user: "1:1".into(), ..ImageConfig::default() },
            layers: vec![("lower".into(), layer.clone()), ("upper".into(), layer)],
        }
    }

    fn written(image: &ImageArchive) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_to(&mut bytes, &[], &CancellationToken::new()).unwrap();
        bytes
    }

    #[test]
    fn an_archive_reads_back_as_the_engine_reads_it() {
        let image = image("elf");
        let bytes = written(&image);
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert!(files.insert(entry.path().unwrap().display().to_string(), content).is_none(), "written twice");
        }
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let config = files[manifest[0]["Config"].as_str().unwrap()].clone();
        assert_eq!(image.config_digest(), format!("sha256:{}", sha256(&config)));
        assert_eq!(manifest[0]["RepoTags"][0], "registry.example/pause:1");
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["config"], json!({"Entrypoint": ["/pause"], "User": "1:1"}));
        for index in 0..2 {
            let layer = &files[manifest[0]["Layers"][index].as_str().unwrap()];
            assert_eq!(config["rootfs"]["diff_ids"][index], format!("sha256:{}", sha256(layer)));
        }
    }

    #[test]
    fn equal_inputs_give_equal_bytes() {
        assert!(written(&image("a")) == written(&image("a")), "two builds differ");
        assert_ne!(image("a").config_digest(), image("b").config_digest());
    }
}
