//! What a node hands over when its control plane's programs are started, so that it need not be asked again.

/// Begins the line that names what follows it.
const SECTION: &str = "#kindmesh ";

/// What a node told.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::ops) struct Handed {
    /// Whether the database began with what an API server writes into an empty one.
    pub(in crate::ops) seeded: bool,
    /// CoreDNS and kube-proxy, as kubeadm would install them.
    pub(in crate::ops) addons: String,
    /// Manifest of the image's network.
    pub(in crate::ops) network: String,
    /// Manifest of the image's storage.
    pub(in crate::ops) storage: String,
    /// Kubeconfig that needs no role of the cluster's.
    pub(in crate::ops) super_admin: String,
    /// Kubeconfig of the administrator.
    pub(in crate::ops) admin: String,
}

// === impl Handed ===

impl Handed {
    /// Reads what the node printed; `None` when it does not go to its end.
    pub(in crate::ops) fn read(text: &str) -> Option<Self> {
        let mut handed = Self::default();
        let mut nothing = String::new();
        let mut section = &mut nothing;
        for line in text.lines() {
            match line.strip_prefix(SECTION) {
                Some("seeded") => handed.seeded = true,
                Some("addons") => section = &mut handed.addons,
                Some("network") => section = &mut handed.network,
                Some("storage") => section = &mut handed.storage,
                Some("super-admin") => section = &mut handed.super_admin,
                Some("admin") => section = &mut handed.admin,
                Some("end") => return Some(handed),
                _ => {
                    section.push_str(line);
                    section.push('\n');
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Handed;

    const TOLD: &str = "[certs] Generating\n#kindmesh seeded\n#kindmesh addons\na: 1\n---\nb: 2\n\n#kindmesh network\n# of the image\nn: 1\n\n\
                        #kindmesh storage\n\n#kindmesh super-admin\ns: 1\n\n#kindmesh admin\nu: 1\n\n#kindmesh end\n";

    #[test]
    fn each_part_is_found_and_nothing_else_is_in_it() {
        let handed = Handed::read(TOLD).unwrap();
        assert!(handed.seeded);
        assert_eq!(handed.addons, "a: 1\n---\nb: 2\n\n");
        assert_eq!(handed.network, "# of the image\nn: 1\n\n");
        assert_eq!((handed.storage.trim(), handed.super_admin.trim(), handed.admin.trim()), ("", "s: 1", "u: 1"));
        assert!(!Handed::read(&TOLD.replace("#kindmesh seeded\n", "")).unwrap().seeded);
    }

    #[test]
    fn what_ends_before_its_end_is_nothing() {
        let whole = TOLD.trim_end().len();
        assert!((0..whole).all(|at| Handed::read(&TOLD[..at]).is_none()));
    }
}
