//! Every istiod reads every cluster, by secrets that lead to the right place.

use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{ClusterView, FleetView, IstiodView};
use super::server;

/// Looks at secrets and at what istiods say of them.
pub fn sync(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let mut failures = secrets(view, cluster);
    match &cluster.istiods {
        Err(why) => failures.push(Failure::unseen("istiod", why)),
        Ok(istiods) if istiods.is_empty() => failures.push(Failure::new(Cause::NoIstiod, "no istiod is ready")),
        Ok(istiods) => failures.extend(istiods.iter().flat_map(|istiod| of_istiod(view, cluster, istiod))),
    }
    failures
}

fn secrets(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let secrets = match &cluster.remote_secrets {
        Err(why) => return vec![Failure::unseen("remote secrets", why)],
        Ok(secrets) => secrets,
    };
    let mut failures = Vec::new();
    for other in view.others(cluster) {
        let mut of_other = secrets.iter().filter(|secret| secret.cluster == other.name).peekable();
        if of_other.peek().is_none() {
            let message = format!("it has no secret {} to read {}", names::remote_secret(&other.name), other.name);
            failures.push(Failure::new(Cause::NotSynced, message).about(&other.name));
        }
        for secret in of_other {
            let wrong = match &secret.server {
                Ok(server) => server::leads_to(view, other, server).err(),
                Err(why) => Some(why.clone()),
            };
            if let Some(why) = wrong {
                let message = format!("secret {} does not lead to {}: {why}", secret.name, other.name);
                failures.push(Failure::new(Cause::WrongServerAddress, message).about(&other.name));
            }
        }
    }
    for secret in secrets.iter().filter(|secret| !view.clusters.iter().any(|known| known.name == secret.cluster)) {
        let message = format!("secret {} is for cluster {}, which the fleet does not have", secret.name, secret.cluster);
        failures.push(Failure::new(Cause::UnknownCluster, message).about(&secret.cluster));
    }
    failures
}

fn of_istiod(view: &FleetView, cluster: &ClusterView, istiod: &IstiodView) -> Vec<Failure> {
    let mut failures = Vec::new();
    for other in &view.clusters {
        let message = match istiod.status(&other.name) {
            Some(names::SYNCED) => continue,
            Some(status) => format!("{} has not read {}: {status}", istiod.pod, other.name),
            None if other.name == cluster.name => format!("{} does not call its own cluster {}", istiod.pod, other.name),
            None => format!("{} does not know {}", istiod.pod, other.name),
        };
        failures.push(Failure::new(Cause::NotSynced, message).about(&other.name));
    }
    for state in istiod.clusters.iter().filter(|state| !view.clusters.iter().any(|known| known.name == state.cluster)) {
        let message = format!("{} reads cluster {} ({}), which the fleet does not have", istiod.pod, state.cluster, state.status);
        failures.push(Failure::new(Cause::UnknownCluster, message).about(&state.cluster));
    }
    failures
}
