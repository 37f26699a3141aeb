//! Networks.

use std::collections::HashMap;

use bollard::body_full;
use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::ListNetworksOptionsBuilder;
use bytes::Bytes;

use super::client::DockerEngine;
use super::{fault, read};
use crate::domain::net::{NetworkInfo, NetworkSpec};
use crate::domain::version::EngineApiVersion;
use crate::engine::{EngineError, EngineErrorKind, Result};

/// From this API version on, network names are unique by themselves.
const UNIQUE_NAMES: EngineApiVersion = EngineApiVersion::new(1, 44);

// === impl DockerEngine ===

impl DockerEngine {
    /// Networks with exactly this name, each inspected.
    pub(super) async fn networks_named(&self, name: &str) -> Result<Vec<NetworkInfo>> {
        // The filter is a regular expression on some engines and a substring on others: the list
        // is only a first cut.
        let filters = HashMap::from([("name", vec![format!("^{}$", escaped(name))])]);
        let mut found = self.networks(&filters, name).await?;
        found.retain(|network| network.name == name);
        Ok(found)
    }

    /// Networks with all of these labels, each inspected.
    pub(super) async fn networks_labelled(&self, labels: &[String]) -> Result<Vec<NetworkInfo>> {
        self.networks(&HashMap::from([("label", labels.to_vec())]), &labels.join(",")).await
    }

    /// Lists by filter, then inspects each: only an inspect tells who is attached. One that goes
    /// away in between is left out.
    async fn networks(&self, filters: &HashMap<&str, Vec<String>>, object: &str) -> Result<Vec<NetworkInfo>> {
        let options = ListNetworksOptionsBuilder::default().filters(filters).build();
        let object = if object.is_empty() { "of the engine" } else { object };
        let listed = self.call("list networks", object, self.docker.list_networks(Some(options))).await?;
        let mut found = Vec::with_capacity(listed.len());
        for network in listed {
            let Some(id) = network.id else { continue };
            match self.inspect_network(&id).await {
                Ok(network) => found.push(network),
                Err(error) if error.is_not_found() => {}
                // An ID says nothing to people.
                Err(error) => return Err(EngineError { object: network.name.unwrap_or(id), ..error }),
            }
        }
        Ok(found)
    }

    /// One network.
    pub(super) async fn inspect_network(&self, id: &str) -> Result<NetworkInfo> {
        const VERB: &str = "inspect network";
        let answer = self.call(VERB, id, self.docker.inspect_network(id, None)).await?;
        let unread = |message: String| EngineError::new(VERB, id, EngineErrorKind::Protocol, message);
        let found = read::network(answer).map_err(unread)?;
        if found.id.is_empty() { Err(unread("the engine's answer names no network".to_owned())) } else { Ok(found) }
    }

    /// Creates a network; a taken name is a conflict.
    ///
    /// Engines below API 1.44 keep names unique only when asked to (`CheckDuplicate`), and even then
    /// two requests at once can both succeed: callers list again afterwards and keep one.
    pub(super) async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        const VERB: &str = "create network";
        let request = create_request(spec);
        let answer = if self.api < UNIQUE_NAMES {
            let json = checked_body(&request)
                .map_err(|error| EngineError::new(VERB, &spec.name, EngineErrorKind::Protocol, fault::chain(&error)))?;
            // The client's model has lost the field, so the body is exchanged on its way out.
            let docker = self.docker.clone().with_request_modifier(move |sent| {
                let (parts, _) = sent.into_parts();
                http::Request::from_parts(parts, body_full(json.clone()))
            });
            self.call(VERB, &spec.name, docker.create_network(request)).await?
        } else {
            self.call(VERB, &spec.name, self.docker.create_network(request)).await?
        };
        Ok(answer.id)
    }

    /// Removes a network.
    pub(super) async fn remove_network(&self, id: &str) -> Result<()> {
        self.call("remove network", id, self.docker.remove_network(id)).await
    }

    /// Attaches a container.
    pub(super) async fn connect_network(&self, network: &str, container: &str, ipv4: Option<std::net::Ipv4Addr>) -> Result<()> {
        let endpoint = ipv4.map(|address| EndpointSettings {
            ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() }),
            ..Default::default()
        });
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: endpoint };
        let object = format!("{network} to {container}");
        self.call("connect network", &object, self.docker.connect_network(network, request)).await
    }

    /// Detaches a container.
    pub(super) async fn disconnect_network(&self, network: &str, container: &str) -> Result<()> {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let object = format!("{network} from {container}");
        self.call("disconnect network", &object, self.docker.disconnect_network(network, request)).await
    }
}

/// The request for a network: a bridge, as kind makes it.
fn create_request(spec: &NetworkSpec) -> NetworkCreateRequest {
    let mut config = Vec::new();
    if spec.ipv4_subnet.is_some() || spec.ip_range.is_some() || spec.gateway.is_some() {
        config.push(IpamConfig {
            subnet: spec.ipv4_subnet.map(|subnet| subnet.to_string()),
            ip_range: spec.ip_range.map(|range| range.to_string()),
            gateway: spec.gateway.map(|gateway| gateway.to_string()),
            auxiliary_addresses: None,
        });
    }
    if let Some(subnet) = spec.ipv6_subnet {
        config.push(IpamConfig { subnet: Some(subnet.to_string()), ..Default::default() });
    }
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(spec.enable_ipv6),
        ipam: Some(Ipam { driver: Some("default".to_owned()), config: Some(config), options: None }),
        options: Some(spec.options.clone().into_iter().collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        internal: Some(false),
        attachable: Some(false),
        ingress: Some(false),
        config_only: Some(false),
        ..Default::default()
    }
}

/// The request with the check for taken names.
fn checked_body(request: &NetworkCreateRequest) -> Result<Bytes, serde_json::Error> {
    let mut value = serde_json::to_value(request)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("CheckDuplicate".to_owned(), true.into());
    }
    serde_json::to_vec(&value).map(Bytes::from)
}

/// A name inside a regular expression.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        if !character.is_ascii_alphanumeric() && character != '-' && character != '_' {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_carries_the_duplicate_check_and_kinds_fields() {
        let spec = NetworkSpec {
            name: "kind".into(),
            enable_ipv6: true,
            ipv6_subnet: Some("fc00:f853:ccd:e793::/64".parse().unwrap()),
            options: [("com.docker.network.bridge.enable_ip_masquerade".to_owned(), "true".to_owned())].into(),
            ..Default::default()
        };
        let body: serde_json::Value = serde_json::from_slice(&checked_body(&create_request(&spec)).unwrap()).unwrap();
        assert_eq!(body["CheckDuplicate"], true);
        assert_eq!(body["Name"], "kind");
        assert_eq!(body["Driver"], "bridge");
        assert_eq!(body["EnableIPv6"], true);
        assert_eq!(body["IPAM"]["Config"], serde_json::json!([{ "Subnet": "fc00:f853:ccd:e793::/64" }]));
    }

    #[test]
    fn an_own_network_names_subnet_range_and_gateway() {
        let spec = NetworkSpec {
            name: "own".into(),
            ipv4_subnet: Some("10.9.0.0/16".parse().unwrap()),
            ip_range: Some("10.9.0.0/24".parse().unwrap()),
            gateway: Some("10.9.0.1".parse().unwrap()),
            ..Default::default()
        };
        let body = serde_json::to_value(create_request(&spec)).unwrap();
        assert_eq!(
            body["IPAM"]["Config"],
            serde_json::json!([{ "Subnet": "10.9.0.0/16", "IPRange": "10.9.0.0/24", "Gateway": "10.9.0.1" }])
        );
    }

    #[test]
    fn names_are_escaped_for_the_filter() {
        assert_eq!(escaped("kind"), "kind");
        assert_eq!(escaped("a.b"), "a\\.b");
    }
}
