//! Commands that are talked to: they have ended before anything can be said.

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::calls::Verb;
use super::engine::{FakeEngine, refuse};
use super::state::State;
use crate::engine::{
    AttachRequest, Attached, AttachedControl, ContainerState, EngineErrorKind as Kind, ExecRequest, OutputPiece, Result, TerminalSize,
};

/// A command that has ended, with its exit code.
struct Over(i64);

// === impl FakeEngine ===

impl FakeEngine {
    pub(super) async fn attach(&self, container: &str, request: AttachRequest) -> Result<Attached> {
        let verb = Verb::AttachExec;
        let object = format!("{} in {container}", request.cmd.first().map_or("nothing", String::as_str));
        let faults = self.enter(verb, &object).await;
        let runs = |state: &mut State| {
            let one = &state.containers[state.container(container, verb)?];
            match one.state {
                ContainerState::Running => Ok(one.name.clone()),
                _ => refuse(verb, &object, Kind::Conflict, format!("Container {} is not running", one.id)),
            }
        };
        let name = self.perform(verb, &object, &faults, || Ok(String::new()), runs)?;
        let plain = ExecRequest { cmd: request.cmd, env: request.env, ..ExecRequest::default() };
        let done = self.run(name, &plain, &CancellationToken::new(), &object).await?;
        let output = [OutputPiece::Stdout(done.stdout.into()), OutputPiece::Stderr(done.stderr.into())].map(Ok);
        // Rules answer before any input comes: nobody reads it.
        let input = request.stdin.then(|| Box::pin(tokio::io::sink()) as _);
        Ok(Attached { output: stream::iter(output).boxed(), input, control: Box::new(Over(done.exit_code)) })
    }
}

// === impl Over ===

#[async_trait]
impl AttachedControl for Over {
    async fn resize(&self, _size: TerminalSize) -> Result<()> {
        Ok(())
    }

    async fn exit_code(&mut self) -> Result<i64> {
        Ok(self.0)
    }

    async fn kill(&mut self) -> Result<()> {
        Ok(())
    }
}
