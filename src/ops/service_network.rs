//! The service network of a node: whether it leads anywhere yet.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerInfo, Engine, ExecRequest};
use crate::k8s::{ApiServer, services};

use super::error::{Error, ErrorKind, Result};
use super::install::failed;

/// Asks until the API server itself answers at the service's address, by its certificate: before kube-proxy leads
/// there, nobody may answer, or whoever has that address outside the cluster. After so many seconds it says what it
/// saw last.
const ASK: &str = r#"
end=$(($(date +%s) + $2))
until seen=$(curl --silent --show-error --cacert /etc/kubernetes/pki/ca.crt --max-time 1 --output /dev/null "https://$1/livez" 2>&1); do
  [ "$(date +%s)" -lt "$end" ] || { echo "$seen" >&2; exit 1; }
  sleep 0.1
done"#;

/// Waits until the API server answers on every one of these nodes at its service's address. That kube-proxy runs does
/// not say so: it has to learn of all services first, and what comes earlier asks again only after a while.
pub(super) async fn leads(
    engine: &dyn Engine,
    server: &ApiServer,
    nodes: &[ContainerInfo],
    deadline: Duration,
    cancel: &CancellationToken,
) -> Result<()> {
    let address = services::api_server_address(server).await.map_err(|error| failed("look for the API server's service", error))?;
    let patience = deadline.as_secs().max(1).to_string();
    let ask = nodes.iter().map(|node| async {
        let request = ExecRequest::new(["sh", "-c", ASK, "ask", &address, &patience]);
        let output = engine.exec(&node.name, request, cancel).await?;
        if output.success() {
            return Ok(());
        }
        let last = output.tail(1);
        let message = format!(
            "node {}: the API server does not answer at its service's address {address} after {patience} s; last seen: {last}",
            node.name
        );
        let log = "kube-proxy leads there; its log: `kubectl logs --namespace kube-system --selector k8s-app=kube-proxy`";
        Err(Error::new(ErrorKind::Timeout, message).hint(log))
    });
    try_join_all(ask).await.map(drop)
}
