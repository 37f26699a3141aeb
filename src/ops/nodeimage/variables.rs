//! Variables of a recipe, and texts in which they stand.

use std::collections::BTreeMap;

use super::recipe::Recipe;
use crate::domain::version::KubernetesVersion;

/// Values by name: `kubernetes`, `major`, `minor`, those of the version and those of the recipe.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

// === impl Variables ===

impl Variables {
    /// Those of one Kubernetes version; `own` are the names of what comes with that version.
    pub fn new(recipe: &Recipe, version: &KubernetesVersion, own: &BTreeMap<String, String>) -> Self {
        let bare = version.bare();
        let major = bare.split('.').next().unwrap_or_default().to_owned();
        let mut all = recipe.variables.clone();
        all.extend(own.clone());
        all.extend([("kubernetes".to_owned(), bare), ("major".to_owned(), major), ("minor".to_owned(), version.minor().to_string())]);
        Self(all)
    }

    /// Replaces every known `{name}`; anything else in braces stays, for templates hold JSON and shell.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            filled.push_str(&rest[..open]);
            rest = &rest[open..];
            let known = rest.find('}').and_then(|close| Some((self.0.get(&rest[1..close])?, close)));
            match known {
                Some((value, close)) => {
                    filled.push_str(value);
                    rest = &rest[close + 1..];
                }
                None => {
                    filled.push('{');
                    rest = &rest[1..];
                }
            }
        }
        filled + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_and_the_rest_stays() {
        let variables = Variables([("etcd".to_owned(), "3.6".to_owned())].into());
        assert_eq!(variables.fill("e:{etcd} {\"a\": {etcd}} {x} {{etcd}} }{"), "e:3.6 {\"a\": 3.6} {x} {3.6} }{");
    }
}
