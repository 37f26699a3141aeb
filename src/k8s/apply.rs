//! Server-side apply of whole manifests: in order, some at once, again only what heals.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};

use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::resource::Resources;
use super::retry::healing;
use super::wait::crds_established;
use crate::domain::manifest::{Object, Stage, stages};
use crate::domain::ownership::applied_already;

mod stranded;

use stranded::Stranded;

/// Name under which the server records the fields we set.
pub const FIELD_MANAGER: &str = "kindmesh";

/// What servers say of an object that does not fit the schema of its kind.
const MISFIT: &str = "failed to create typed patch object";
/// Words of a refusal for a service whose address is allocated, to it or to another.
const ADDRESS_TAKEN: &str = "provided IP is already allocated";

/// How to apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Take fields that another manager owns instead of failing.
    pub force: bool,
}

/// What applying did, object by object, in the order of application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Kind and name of each object, and what happened to it.
    pub objects: Vec<(String, Change)>,
}

/// What applying did to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// It was there and differed.
    Configured,
    /// It was there just so.
    Unchanged,
}

/// Applies objects in the order of their kinds, waiting for definitions before their kinds are
/// used. Objects of one stage are applied at once, a few at a time.
///
/// Objects without a namespace go to the context's default one. Failures that heal (a server that
/// restarts or is overloaded, a webhook without backend) are tried again until the deadline.
///
/// # Errors
/// The first failure, with its object's name; objects applied before it stay.
pub async fn apply(
    server: &ApiServer,
    objects: Vec<Object>,
    options: ApplyOptions,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<Applied> {
    let total = objects.len();
    let mut applied = Applied::default();
    // Group versions whose kinds come from definitions of this manifest: the server may need a
    // moment to serve them even when the definitions are established.
    let mut promised = BTreeSet::new();
    let mut resources = Resources::default();
    for stage in stages(objects) {
        promised.extend(stage.objects.iter().filter(|object| object.is_definition()).flat_map(served_versions));
        learn(server, &mut resources, &stage, &promised, deadline, observer).await?;
        applied.objects.extend(apply_stage(server, &resources, &stage, &promised, options, deadline, observer).await?);
        observer(&format!("{} of {total} objects applied", applied.objects.len()));
        crds_established(server, &stage.barrier, deadline, observer).await?;
    }
    Ok(applied)
}

async fn apply_stage(
    server: &ApiServer,
    resources: &Resources,
    stage: &Stage,
    promised: &BTreeSet<String>,
    options: ApplyOptions,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<Vec<(String, Change)>> {
    let mut work = FuturesUnordered::new();
    for (index, object) in stage.objects.iter().enumerate() {
        let Some(api) = resources.api(server, object.id()) else { return Err(Resources::unknown(server, object.id()).await) };
        work.push(async move {
            let fresh = promised.contains(&object.id().api_version);
            let change = apply_one(server, &api, object, fresh, options, deadline, observer).await;
            change.map(|change| (index, object.to_string(), change))
        });
    }
    let mut done = Vec::with_capacity(stage.objects.len());
    while let Some(result) = work.next().await {
        done.push(result?);
    }
    done.sort_by_key(|(index, ..)| *index);
    Ok(done.into_iter().map(|(_, name, change)| (name, change)).collect())
}

async fn apply_one(
    server: &ApiServer,
    api: &Api<DynamicObject>,
    object: &Object,
    fresh: bool,
    options: ApplyOptions,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<Change> {
    let mut params = PatchParams::apply(FIELD_MANAGER);
    params.force = options.force;
    // What a schema does not know would be dropped in silence otherwise.
    params.field_validation = Some(ValidationDirective::Strict);
    let name = &object.id().name;
    let stranded = Stranded::default();
    healing(
        &object.to_string(),
        deadline,
        observer,
        |error| comes_right(error, fresh),
        || async {
            let _slot = server.slot().await;
            let error = |error: &kube::Error| refine(server.error("apply", object.to_string(), error));
            // The server does not say whether an apply changed anything.
            let before = api.get_opt(name).await.map_err(|e| error(&e))?;
            if before.as_ref().is_some_and(|before| is_just_so(before, object)) {
                return Ok(Change::Unchanged);
            }
            let after = match api.patch(name, &params, &Patch::Apply(object.value())).await.map_err(|e| error(&e)) {
                Ok(after) => after,
                Err(refused) => {
                    if before.is_none() && is_address_taken(&refused) {
                        stranded.look(server, object).await;
                    }
                    return Err(refused);
                }
            };
            Ok(before.map_or(Change::Created, |before| change(&before, &after)))
        },
    )
    .await
}

/// Whether the server has noted that applying this object has been done, and nobody has changed anything of it since.
fn is_just_so(before: &DynamicObject, object: &Object) -> bool {
    let entries = before.metadata.managed_fields.iter().flatten();
    let ours = entries.into_iter().find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().is_none_or(str::is_empty)
            && entry.api_version.as_ref() == Some(&object.id().api_version)
    });
    let (Some(owned), Ok(live)) = (ours.and_then(|entry| entry.fields_v1.as_ref()), serde_json::to_value(before)) else { return false };
    applied_already(object.value(), &live, &owned.0)
}

/// What ends by itself. A kind that was defined a moment ago may be missing for another one, or still be known by its old
/// schema; the server gives up on an object that others keep writing to; and the address of a service may be taken by a
/// request whose client was killed, until that is done or its address is freed.
fn comes_right(error: &K8sError, fresh: bool) -> bool {
    match error {
        K8sError::Request { kind: RequestErrorKind::NotFound, .. } => fresh,
        K8sError::Request { kind: RequestErrorKind::Refused, message, .. } => {
            (fresh && message.contains(MISFIT)) || is_address_taken(error)
        }
        K8sError::Request { kind: RequestErrorKind::Conflict, .. } => true,
        _ => false,
    }
}

fn is_address_taken(error: &K8sError) -> bool {
    matches!(error, K8sError::Request { kind: RequestErrorKind::Refused, message, .. } if message.contains(ADDRESS_TAKEN))
}

/// What happened between two looks at an object.
fn change(before: &DynamicObject, after: &DynamicObject) -> Change {
    if before.metadata.resource_version == after.metadata.resource_version {
        return Change::Unchanged;
    }
    // The version also moves when someone reports a status in between, and when an apply that
    // changes nothing is only written down in the managed fields.
    let (old, new) = (&before.metadata, &after.metadata);
    let same_metadata = old.labels == new.labels
        && old.annotations == new.annotations
        && old.finalizers == new.finalizers
        && old.owner_references == new.owner_references;
    let content = |object: &DynamicObject| {
        let mut data = object.data.clone();
        if let Some(data) = data.as_object_mut() {
            data.remove("status");
        }
        data
    };
    if same_metadata && content(before) == content(after) { Change::Unchanged } else { Change::Configured }
}

/// Learns where the kinds of a stage are served; waits for those that definitions have promised.
async fn learn(
    server: &ApiServer,
    resources: &mut Resources,
    stage: &Stage,
    promised: &BTreeSet<String>,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<()> {
    for object in &stage.objects {
        let (api_version, kind) = (&object.id().api_version, &object.id().kind);
        if resources.knows(api_version, kind) {
            continue;
        }
        let late = |error: &K8sError| error.is_not_found() && promised.contains(api_version);
        let found = healing(&format!("kind {kind} in {api_version}"), deadline, observer, late, || async {
            let mut learned = Resources::default();
            learned.learn(server, api_version).await?;
            if learned.knows(api_version, kind) || !promised.contains(api_version) {
                return Ok(learned);
            }
            let message = "not served yet".to_owned();
            Err(K8sError::Request {
                verb: "discover",
                object: format!("{kind} in {api_version}"),
                kind: RequestErrorKind::NotFound,
                message,
            })
        })
        .await?;
        resources.extend(found);
    }
    Ok(())
}

/// Group versions a definition makes the server serve.
fn served_versions(definition: &Object) -> Vec<String> {
    let spec = &definition.value()["spec"];
    let group = spec["group"].as_str().unwrap_or_default();
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    versions.iter().filter_map(|version| version["name"].as_str()).map(|version| format!("{group}/{version}")).collect()
}

/// Says more about the refusals that applying knows.
fn refine(error: K8sError) -> K8sError {
    match error {
        K8sError::Request { kind: RequestErrorKind::Conflict, object, message, .. } if message.starts_with("Apply failed with") => {
            K8sError::Owned { object, message: message.split_whitespace().collect::<Vec<_>>().join(" ") }
        }
        // Servers answer 500 to what does not fit the schema, though that will not heal.
        K8sError::Request { verb, object, mut message, .. } if message.contains(MISFIT) => {
            if message.contains("field not declared in schema") {
                message.push_str("; the field is misspelled, or newer than the cluster");
            }
            K8sError::Request { verb, object, kind: RequestErrorKind::Refused, message }
        }
        other => other,
    }
}

// === impl Applied ===

impl Applied {
    /// How many objects were created or changed.
    pub fn changed(&self) -> usize {
        self.objects.iter().filter(|(_, change)| *change != Change::Unchanged).count()
    }

    /// Whether everything was there already.
    pub fn is_unchanged(&self) -> bool {
        self.changed() == 0
    }

    /// Adds what another apply did.
    pub fn extend(&mut self, other: Applied) {
        self.objects.extend(other.objects);
    }
}

#[cfg(test)]
mod tests;
