//! Archives in and out of containers.
//!
//! The engine unpacks and packs on the container's file system from outside. A tmpfs mounted in the
//! container (`/run`, `/tmp` of a node) is invisible from there: what is put under it is lost without
//! an error. Files for such places go through [`write_file`](crate::engine::files::write_file).

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};

use super::client::DockerEngine;
use super::{body, fault};
use crate::engine::{ByteStream, Result};

// === impl DockerEngine ===

impl DockerEngine {
    /// Unpacks a tar stream under a folder.
    pub(super) async fn put_archive(&self, container: &str, path: &str, tar: ByteStream) -> Result<()> {
        const VERB: &str = "unpack into";
        let object = format!("{container}:{path}");
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let (upload, source) = body::upload(tar);
        let sent = async {
            let answer = self.docker.upload_to_container(container, Some(options), upload).await;
            answer.map_err(|error| source.or(fault::map(VERB, &object, error)))
        };
        self.within(self.deadlines.transfer, VERB, &object, sent).await
    }

    /// Packs a file or folder.
    pub(super) async fn get_archive(&self, container: &str, path: &str) -> Result<ByteStream> {
        const VERB: &str = "pack from";
        let object = format!("{container}:{path}");
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let stream = self.docker.download_from_container(container, Some(options));
        self.within(self.deadlines.call, VERB, &object, body::download(VERB, &object, stream)).await
    }
}
