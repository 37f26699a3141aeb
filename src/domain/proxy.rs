//! The proxy environment of a node container, by kind's rule.

use std::fmt;

/// Proxies of the caller's environment. Their addresses may hold a password, so that Debug only
/// tells which are set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// Proxy for plain requests.
    pub http: Option<String>,
    /// Proxy for TLS requests.
    pub https: Option<String>,
    /// Comma-separated names and subnets that need no proxy.
    pub no_proxy: Option<String>,
}

/// Environment entries of a node, each in upper and lower case; none when no proxy is set.
///
/// What needs no proxy: the network's own subnets, what the caller said, the services and pods of the
/// cluster, its nodes, and names of services.
pub fn proxy_environment(settings: &ProxySettings, network: &[String], service_and_pods: [&str; 2], nodes: &[String]) -> Vec<String> {
    if settings.http.is_none() && settings.https.is_none() && settings.no_proxy.is_none() {
        return Vec::new();
    }
    let said = settings.no_proxy.iter().filter(|list| !list.is_empty()).map(String::as_str);
    let no_proxy: Vec<&str> = network
        .iter()
        .map(String::as_str)
        .chain(said)
        .chain(service_and_pods)
        .chain(nodes.iter().map(String::as_str))
        .chain([".svc", ".svc.cluster", ".svc.cluster.local"])
        .collect();
    let no_proxy = no_proxy.join(",");
    [("HTTP_PROXY", settings.http.as_deref()), ("HTTPS_PROXY", settings.https.as_deref()), ("NO_PROXY", Some(no_proxy.as_str()))]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .flat_map(|(key, value)| [format!("{key}={value}"), format!("{}={value}", key.to_lowercase())])
        .collect()
}

// === impl ProxySettings ===

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |value: &Option<String>| value.as_ref().map(|_| "set");
        f.debug_struct("ProxySettings")
            .field("http", &set(&self.http))
            .field("https", &set(&self.https))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_nothing_sent() {
        assert!(proxy_environment(&ProxySettings::default(), &["10.0.0.0/8".into()], ["s", "p"], &["n".into()]).is_empty());
    }

    #[test]
    fn both_cases_and_everything_near_excepted() {
        let settings =
            ProxySettings { http: Some("http://user:secret@proxy:3128".into()), https: None, no_proxy: Some("example.com".into()) };
        let network = ["172.18.0.0/16".to_owned(), "fc00::/64".to_owned()];
        let environment = proxy_environment(&settings, &network, ["10.96.0.0/16", "10.244.0.0/16"], &["c-control-plane".into()]);
        insta::assert_snapshot!(environment.join("\n"), @r"
        HTTP_PROXY=http://user:secret@proxy:3128
        http_proxy=http://user:secret@proxy:3128
        NO_PROXY=172.18.0.0/16,fc00::/64,example.com,10.96.0.0/16,10.244.0.0/16,c-control-plane,.svc,.svc.cluster,.svc.cluster.local
        no_proxy=172.18.0.0/16,fc00::/64,example.com,10.96.0.0/16,10.244.0.0/16,c-control-plane,.svc,.svc.cluster,.svc.cluster.local
        ");
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
