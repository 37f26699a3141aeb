//! What was asked of the engine.

/// A verb of the [`Engine`](crate::engine::Engine) trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of the trait with this name")]
pub enum Verb {
    Facts,
    NetworksNamed,
    NetworksLabelled,
    InspectNetwork,
    CreateNetwork,
    RemoveNetwork,
    ConnectNetwork,
    DisconnectNetwork,
    ListContainers,
    InspectContainer,
    DescribeContainer,
    CreateContainer,
    StartContainer,
    KillContainer,
    StopContainer,
    WaitContainer,
    RemoveContainer,
    PauseContainer,
    UnpauseContainer,
    ContainerLogs,
    Exec,
    AttachExec,
    PutArchive,
    GetArchive,
    InspectImage,
    PullImage,
    FindInRegistry,
    LoadImages,
    SaveImages,
    ImportImage,
    TagImage,
    RemoveImage,
    CreateVolume,
    ListVolumes,
    RemoveVolume,
    VolumeExists,
    Events,
    PastEvents,
}

/// One call, in the order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub verb: Verb,
    /// Of which object: a name or ID as the caller wrote it; for [`Verb::Exec`] container and program.
    pub object: String,
}

// === impl Verb ===

impl Verb {
    /// The words the real adapter's errors use.
    pub(super) fn words(self) -> &'static str {
        match self {
            Verb::Facts => "read the facts of",
            Verb::NetworksNamed | Verb::NetworksLabelled => "list networks",
            Verb::InspectNetwork => "inspect network",
            Verb::CreateNetwork => "create network",
            Verb::RemoveNetwork => "remove network",
            Verb::ConnectNetwork => "connect network",
            Verb::DisconnectNetwork => "disconnect network",
            Verb::ListContainers => "list containers",
            Verb::InspectContainer | Verb::DescribeContainer => "inspect container",
            Verb::CreateContainer => "create container",
            Verb::StartContainer => "start container",
            Verb::KillContainer => "kill container",
            Verb::StopContainer => "stop container",
            Verb::WaitContainer => "wait for container",
            Verb::RemoveContainer => "remove container",
            Verb::PauseContainer => "pause container",
            Verb::UnpauseContainer => "unpause container",
            Verb::ContainerLogs => "read logs of container",
            Verb::Exec | Verb::AttachExec => "run",
            Verb::PutArchive => "unpack into",
            Verb::GetArchive => "pack from",
            Verb::InspectImage => "inspect image",
            Verb::PullImage => "pull image",
            Verb::FindInRegistry => "look in the registry for",
            Verb::LoadImages => "load images",
            Verb::SaveImages => "save images",
            Verb::ImportImage => "import image",
            Verb::TagImage => "tag image",
            Verb::RemoveImage => "remove image",
            Verb::CreateVolume => "create volume",
            Verb::ListVolumes => "list volumes",
            Verb::RemoveVolume => "remove volume",
            Verb::VolumeExists => "inspect volume",
            Verb::Events | Verb::PastEvents => "follow events of",
        }
    }

    /// Whether it changes anything.
    pub fn changes(self) -> bool {
        !matches!(
            self,
            Verb::Facts
                | Verb::NetworksNamed
                | Verb::NetworksLabelled
                | Verb::InspectNetwork
                | Verb::ListContainers
                | Verb::InspectContainer
                | Verb::DescribeContainer
                | Verb::WaitContainer
                | Verb::ContainerLogs
                | Verb::GetArchive
                | Verb::InspectImage
                | Verb::SaveImages
                | Verb::ListVolumes
                | Verb::FindInRegistry
                | Verb::VolumeExists
                | Verb::Events
                | Verb::PastEvents
        )
    }
}
