//! The trait on the fake.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::calls::Verb;
use super::engine::{FakeEngine, false_id, refuse};
use super::faults::{Fault, cut};
use super::image::{Image, labels_of};
use super::script::{ExecCall, ExecReply};
use super::state::bears;
use crate::domain::container::ContainerSpec;
use crate::domain::facts::HostFacts;
use crate::domain::net::{NetworkInfo, NetworkSpec};
use crate::engine::{
    AttachRequest, Attached, ByteStream, ContainerInfo, ContainerState, Engine, EngineErrorKind as Kind, EngineEvent, ExecOutput,
    ExecRequest, ImageInfo, PullProgress, RegistryCredentials, Result, Stdin, VolumeInfo,
};

#[async_trait]
impl Engine for FakeEngine {
    fn endpoint(&self) -> String {
        "fake://".to_owned()
    }

    fn remote_host(&self) -> Option<String> {
        None
    }

    async fn facts(&self) -> Result<HostFacts> {
        let honest = || Ok(self.look(|state| state.facts.clone()));
        self.call(Verb::Facts, "the engine", honest, |state| Ok(state.facts.clone())).await
    }

    async fn networks_named(&self, name: &str) -> Result<Vec<NetworkInfo>> {
        self.call(Verb::NetworksNamed, name, || Ok(Vec::new()), |state| Ok(state.networks(|spec| spec.name == name))).await
    }

    async fn networks_labelled(&self, labels: &[String]) -> Result<Vec<NetworkInfo>> {
        let object = labels.join(",");
        self.call(Verb::NetworksLabelled, &object, || Ok(Vec::new()), |state| Ok(state.networks_labelled(labels))).await
    }

    async fn inspect_network(&self, id: &str) -> Result<NetworkInfo> {
        let verb = Verb::InspectNetwork;
        let lie = || refuse(verb, id, Kind::NotFound, format!("network {id} not found"));
        self.call(verb, id, lie, |state| state.network(id, verb).map(|at| state.network_info(&state.networks[at]))).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        self.call(Verb::CreateNetwork, &spec.name, || Ok(false_id()), |state| state.create_network(spec)).await
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        self.call(Verb::RemoveNetwork, id, || Ok(()), |state| state.remove_network(id)).await
    }

    async fn connect_network(&self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<()> {
        let object = format!("{network} to {container}");
        self.call(Verb::ConnectNetwork, &object, || Ok(()), |state| state.connect(network, container, ipv4)).await
    }

    async fn disconnect_network(&self, network: &str, container: &str) -> Result<()> {
        let object = format!("{network} from {container}");
        self.call(Verb::DisconnectNetwork, &object, || Ok(()), |state| state.disconnect(network, container)).await
    }

    async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerInfo>> {
        let object = labels.join(",");
        self.call(Verb::ListContainers, &object, || Ok(Vec::new()), |state| Ok(state.list_containers(labels))).await
    }

    async fn inspect_container(&self, id: &str) -> Result<ContainerInfo> {
        let verb = Verb::InspectContainer;
        let lie = || refuse(verb, id, Kind::NotFound, format!("No such container: {id}"));
        self.call(verb, id, lie, |state| state.container(id, verb).map(|at| state.container_info(&state.containers[at]))).await
    }

    async fn describe_container(&self, id: &str) -> Result<serde_json::Value> {
        let verb = Verb::DescribeContainer;
        let lie = || refuse(verb, id, Kind::NotFound, format!("No such container: {id}"));
        let describe = |state: &mut super::state::State| {
            let one = &state.containers[state.container(id, verb)?];
            Ok(
                serde_json::json!({"Id": one.id, "Name": format!("/{}", one.name), "Config": {"Env": one.spec.env, "Labels": one.spec.labels}}),
            )
        };
        self.call(verb, id, lie, describe).await
    }

    async fn create_container(&self, name: &str, spec: &ContainerSpec) -> Result<String> {
        let verb = Verb::CreateContainer;
        let faults = self.enter(verb, name).await;
        let gate = self.gate(verb, name, spec);
        self.perform(verb, name, &faults, || Ok(false_id()), |state| gate.and_then(|()| state.create_container(name, spec)))
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let verb = Verb::StartContainer;
        let faults = self.enter(verb, id).await;
        let spec = self.look(|state| state.container(id, verb).map(|at| state.containers[at].clone()))?;
        let gate = self.gate(verb, &spec.name, &spec.spec);
        self.perform(verb, id, &faults, || Ok(()), |state| gate.and_then(|()| state.start_container(id)))
    }

    async fn kill_container(&self, id: &str, signal: &str) -> Result<()> {
        let code = if signal == "SIGKILL" { 137 } else { 143 };
        self.call(Verb::KillContainer, id, || Ok(()), |state| state.end_container(id, code, Verb::KillContainer)).await
    }

    async fn stop_container(&self, id: &str, _grace: u32) -> Result<()> {
        let verb = Verb::StopContainer;
        let stop = |state: &mut super::state::State| {
            let at = state.container(id, verb)?;
            // Stopping what has ended is no error on a real engine either.
            if state.containers[at].runs() { state.end_container(id, 143, verb) } else { Ok(()) }
        };
        self.call(verb, id, || Ok(()), stop).await
    }

    async fn wait_container(&self, id: &str) -> Result<i64> {
        let verb = Verb::WaitContainer;
        self.call(verb, id, || Ok(()), |state| state.container(id, verb).map(drop)).await?;
        let ended = |state: &super::state::State| match state.container(id, verb) {
            // Removed while we waited.
            Err(_) => Some(137),
            Ok(at) => state.containers[at].exit_code,
        };
        Ok(self.until(ended).await)
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.call(Verb::RemoveContainer, id, || Ok(()), |state| state.remove_container(id)).await
    }

    async fn pause_container(&self, id: &str) -> Result<()> {
        let verb = Verb::PauseContainer;
        self.call(verb, id, || Ok(()), |state| state.set_paused(id, true, verb)).await
    }

    async fn unpause_container(&self, id: &str) -> Result<()> {
        let verb = Verb::UnpauseContainer;
        self.call(verb, id, || Ok(()), |state| state.set_paused(id, false, verb)).await
    }

    async fn container_logs(&self, id: &str, follow: bool, _since: Option<i64>) -> Result<ByteStream> {
        let verb = Verb::ContainerLogs;
        let faults = self.enter(verb, id).await;
        let key =
            self.perform(verb, id, &faults, || Ok(false_id()), |state| Ok(state.containers[state.container(id, verb)?].id.clone()))?;
        let engine = self.clone();
        let logs = stream::unfold(0, move |told| {
            let (engine, key) = (engine.clone(), key.clone());
            async move {
                let more = engine.until(|state| {
                    let found = state.containers.iter().find(|one| one.id == key);
                    let log = found.map_or(&[][..], |one| &one.log[..]);
                    let over = !follow || found.is_none_or(|one| !one.runs());
                    if log.len() > told { Some(Some(Bytes::copy_from_slice(&log[told..]))) } else { over.then_some(None) }
                });
                more.await.map(|bytes| (Ok(bytes.clone()), told + bytes.len()))
            }
        });
        Ok(streamed(logs.boxed(), &faults, verb, id))
    }

    async fn exec(&self, container: &str, request: ExecRequest, cancel: &CancellationToken) -> Result<ExecOutput> {
        let verb = Verb::Exec;
        let object = format!("{} in {container}", request.cmd.first().map_or("nothing", String::as_str));
        let faults = self.enter(verb, &object).await;
        let name = self.perform(
            verb,
            &object,
            &faults,
            || Ok(String::new()),
            |state| {
                let one = &state.containers[state.container(container, verb)?];
                if one.state == ContainerState::Running {
                    return Ok(one.name.clone());
                }
                refuse(verb, &object, Kind::Conflict, format!("Container {} is not running", one.id))
            },
        );
        // A lost answer is lost after the command has run: see below.
        let name = match name {
            Err(_) if faults.contains(&Fault::LoseAnswer) => {
                self.look(|state| state.container(container, verb).map(|at| state.containers[at].name.clone()))?
            }
            other => other?,
        };
        let done = if name.is_empty() {
            ExecOutput { exit_code: 0, stdout: Vec::new(), stderr: Vec::new() }
        } else {
            self.run(name, &request, cancel, &object).await?
        };
        if faults.contains(&Fault::LoseAnswer) {
            return refuse(verb, &object, Kind::Interrupted, "the connection broke before the answer came");
        }
        tell_lines(&request, &done);
        match faults.iter().find_map(|fault| if let Fault::Cut(after) = fault { Some(*after) } else { None }) {
            Some(after) if done.stdout.len() > after => refuse(verb, &object, Kind::Interrupted, "the connection broke in the middle"),
            _ => Ok(done),
        }
    }

    async fn attach_exec(&self, container: &str, request: AttachRequest) -> Result<Attached> {
        self.attach(container, request).await
    }

    async fn put_archive(&self, container: &str, path: &str, tar: ByteStream) -> Result<()> {
        let verb = Verb::PutArchive;
        let object = format!("{container}:{path}");
        let faults = self.enter(verb, &object).await;
        let tar = gather(streamed(tar, &faults, verb, &object)).await?;
        self.perform(
            verb,
            &object,
            &faults,
            || Ok(()),
            |state| {
                let at = state.container(container, verb)?;
                state.containers[at].put(path, &tar)
            },
        )
    }

    async fn get_archive(&self, container: &str, path: &str) -> Result<ByteStream> {
        let verb = Verb::GetArchive;
        let object = format!("{container}:{path}");
        let faults = self.enter(verb, &object).await;
        let lie = || super::files::pack([]);
        let tar = self.perform(verb, &object, &faults, lie, |state| state.containers[state.container(container, verb)?].get(path))?;
        Ok(streamed(pieces(tar), &faults, verb, &object))
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        let find = |state: &mut super::state::State| Ok(state.image(reference).map(|image| image.info.clone()));
        self.call(Verb::InspectImage, reference, || Ok(None), find).await
    }

    async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        let verb = Verb::PullImage;
        let faults = self.enter(verb, reference).await;
        progress(PullProgress { layers_done: 0, layers: 2, bytes: 0, status: "Pulling fs layer".to_owned() });
        if faults.iter().any(|fault| matches!(fault, Fault::Cut(_))) {
            return refuse(verb, reference, Kind::Interrupted, "unexpected EOF");
        }
        self.perform(verb, reference, &faults, || Ok(()), |state| state.pull(reference, credentials))?;
        progress(PullProgress { layers_done: 2, layers: 2, bytes: 2_000, status: "Pull complete".to_owned() });
        Ok(())
    }

    async fn find_in_registry(&self, reference: &str, _credentials: Option<&RegistryCredentials>) -> Result<bool> {
        self.call(Verb::FindInRegistry, reference, || Ok(false), |state| Ok(state.registry.contains_key(reference))).await
    }

    async fn load_images(&self, tar: ByteStream) -> Result<Vec<String>> {
        let verb = Verb::LoadImages;
        let faults = self.enter(verb, "").await;
        let tar = gather(streamed(tar, &faults, verb, "")).await?;
        self.perform(verb, "", &faults, || Ok(Vec::new()), |state| state.load(&tar))
    }

    async fn save_images(&self, references: &[String]) -> Result<ByteStream> {
        let verb = Verb::SaveImages;
        let object = references.join(", ");
        let faults = self.enter(verb, &object).await;
        let tar = self.perform(verb, &object, &faults, || super::files::pack([]), |state| state.save(references))?;
        Ok(streamed(pieces(tar), &faults, verb, &object))
    }

    async fn import_image(&self, reference: &str, changes: &[String], rootfs: ByteStream) -> Result<String> {
        let verb = Verb::ImportImage;
        let faults = self.enter(verb, reference).await;
        let content = gather(streamed(rootfs, &faults, verb, reference)).await?;
        let image = Image::new(reference, &content, labels_of(changes));
        self.perform(verb, reference, &faults, || Ok(format!("sha256:{}", false_id())), |state| Ok(state.add_image(image)))
    }

    async fn tag_image(&self, source: &str, reference: &str) -> Result<()> {
        self.call(Verb::TagImage, source, || Ok(()), |state| state.tag(source, reference)).await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.call(Verb::RemoveImage, reference, || Ok(()), |state| state.remove_image(reference)).await
    }

    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let create = |state: &mut super::state::State| {
            let now = state.now();
            state.volumes.entry(name.to_owned()).or_insert_with(|| (labels.clone(), now));
            Ok(())
        };
        self.call(Verb::CreateVolume, name, || Ok(()), create).await
    }

    async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeInfo>> {
        let list = |state: &mut super::state::State| {
            let found = state.volumes.iter().filter(|(_, (held, _))| bears(held, labels));
            Ok(found.map(|(name, (labels, at))| VolumeInfo { name: name.clone(), labels: labels.clone(), created: *at }).collect())
        };
        self.call(Verb::ListVolumes, &labels.join(","), || Ok(Vec::new()), list).await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let verb = Verb::RemoveVolume;
        let remove = |state: &mut super::state::State| match state.volumes.remove(name).is_some() {
            true => Ok(()),
            false => refuse(verb, name, Kind::NotFound, format!("get {name}: no such volume")),
        };
        self.call(verb, name, || Ok(()), remove).await
    }

    async fn volume_exists(&self, name: &str) -> Result<bool> {
        self.call(Verb::VolumeExists, name, || Ok(false), |state| Ok(state.volumes.contains_key(name))).await
    }

    async fn events(&self, labels: &[String]) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        let verb = Verb::Events;
        let object = labels.join(",");
        // Before the call counts as made: nothing that happens later is missed.
        let receiver = self.subscribe();
        let faults = self.enter(verb, &object).await;
        self.perform(verb, &object, &faults, || Ok(()), |_| Ok(()))?;
        let labels = labels.to_vec();
        let limit = faults.iter().find_map(|fault| if let Fault::Cut(after) = fault { Some(*after) } else { None });
        let events = stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        let ours = events.filter(move |event| std::future::ready(bears(&event.attributes, &labels))).map(Ok);
        let broken = refuse(verb, &object, Kind::Interrupted, "the engine closed the stream");
        // A cut counts events here, not bytes.
        Ok(match limit {
            Some(after) => ours.take(after).chain(stream::once(async { broken })).boxed(),
            None => ours.boxed(),
        })
    }

    async fn past_events(&self, labels: &[String], since: SystemTime) -> Result<Vec<EngineEvent>> {
        let remembered = |state: &mut super::state::State| {
            let ours = |event: &&EngineEvent| event.time >= since && bears(&event.attributes, labels);
            Ok(state.past.iter().filter(ours).cloned().collect())
        };
        self.call(Verb::PastEvents, &labels.join(","), || Ok(Vec::new()), remembered).await
    }
}

// === impl FakeEngine ===

impl FakeEngine {
    /// A command from its input to its output.
    pub(super) async fn run(
        &self,
        container: String,
        request: &ExecRequest,
        cancel: &CancellationToken,
        object: &str,
    ) -> Result<ExecOutput> {
        let stdin = match &request.stdin {
            None => Vec::new(),
            Some(Stdin::Bytes(bytes)) => bytes.to_vec(),
            Some(Stdin::Stream(source)) => {
                let mut all = Vec::new();
                let mut source = source.lock().await;
                while let Some(piece) = source.next().await {
                    all.extend_from_slice(&piece?);
                }
                all
            }
        };
        let call = ExecCall { container, cmd: request.cmd.clone(), stdin, env: request.env.clone() };
        let builtin = || {
            self.edit(|state| {
                let at = state.container(&call.container, Verb::Exec).ok()?;
                state.containers[at].file_command(&call)
            })
        };
        let reply = self.scripted(&call).or_else(builtin).unwrap_or_else(|| ExecReply::stdout(""));
        let running = async {
            match reply {
                ExecReply::Output(output) => output,
                ExecReply::After(time, output) => {
                    tokio::time::sleep(time).await;
                    output
                }
                ExecReply::Hang => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => refuse(Verb::Exec, object, Kind::Cancelled, "cancelled; the command was killed"),
            output = running => Ok(output),
        }
    }
}

fn tell_lines(request: &ExecRequest, output: &ExecOutput) {
    let Some(hear) = &request.on_line else { return };
    for text in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(text).lines() {
            hear(line);
        }
    }
}

/// A stream with its cut, if one is ordered.
fn streamed(stream: ByteStream, faults: &[Fault], verb: Verb, object: &str) -> ByteStream {
    match faults.iter().find_map(|fault| if let Fault::Cut(after) = fault { Some(*after) } else { None }) {
        Some(after) => cut(stream, after, verb, object),
        None => stream,
    }
}

/// Bytes in pieces, as they come over a connection.
fn pieces(bytes: Vec<u8>) -> ByteStream {
    let pieces: Vec<Result<Bytes>> = bytes.chunks(1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn gather(stream: ByteStream) -> Result<BytesMut> {
    stream
        .try_fold(BytesMut::new(), |mut all, piece| {
            all.extend_from_slice(&piece);
            std::future::ready(Ok(all))
        })
        .await
}
