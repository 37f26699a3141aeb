//! Which layer is in which folder of an archive that engines before 25 write.
//!
//! There every layer is at `<id>/layer.tar`, described by `<id>/json` before it; the id is a digest of that
//! description together with the name of the stack that the layer completes. Who knows the stacks of an
//! image can therefore tell which layer comes before its bytes have come.

use std::collections::BTreeMap;

use super::digest::{chain_ids, sha256_digest};

/// Layers of the images that are awaited.
#[derive(Debug, Clone, Default)]
pub struct LegacyLayers {
    /// Layer by the stack that it completes.
    by_stack: BTreeMap<String, String>,
}

// === impl LegacyLayers ===

impl LegacyLayers {
    /// For images with these layers, lowest first.
    pub fn new<'a>(images: impl IntoIterator<Item = &'a [String]>) -> Self {
        let pairs = images.into_iter().flat_map(|layers| chain_ids(layers).into_iter().zip(layers.iter().cloned()));
        Self { by_stack: pairs.collect() }
    }

    /// The layer (`sha256:…`) in the folder with this name and description; `None` when it is none of the
    /// awaited ones.
    pub fn identify(&self, folder: &str, description: &str) -> Option<&str> {
        let fields = fields(description)?;
        let wanted = format!("sha256:{folder}");
        // Lower layers are described without an operating system when the id is made, and with one in the file.
        self.by_stack.iter().find_map(|(stack, layer)| {
            let fits = |with_os: bool| sha256_digest(document(&fields, stack, with_os).as_bytes()) == wanted;
            (fits(false) || fits(true)).then_some(layer.as_str())
        })
    }
}

/// The document that the id is the digest of: keys sorted, values as they are written.
fn document(fields: &BTreeMap<String, &str>, stack: &str, with_os: bool) -> String {
    let layer_id = format!("\"{stack}\"");
    let parent = fields.get("parent").map(|parent| format!("\"sha256:{}\"", parent.trim_matches('"')));
    let mut fields = fields.clone();
    fields.remove("id");
    if !with_os {
        fields.remove("os");
    }
    fields.insert("layer_id".to_owned(), &layer_id);
    if let Some(parent) = &parent {
        fields.insert("parent".to_owned(), parent);
    }
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// Fields of a JSON object, each value as it is written: taken apart and printed again it would not
/// give the same digest.
fn fields(text: &str) -> Option<BTreeMap<String, &str>> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = BTreeMap::new();
    let mut add = |field: &'_ str, start: usize| {
        let (key, value) = field.split_once("\":")?;
        let at = start + key.len() + 2;
        fields.insert(key.trim().strip_prefix('"')?.to_owned(), inside.get(at..at + value.len())?.trim());
        Some(())
    };
    let (mut depth, mut quoted, mut escaped, mut start) = (0i32, false, false, 0);
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                add(&inside[start..at], start)?;
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        add(&inside[start..], start)?;
    }
    Some(fields)
}
