//! Commands in containers that are talked to while they run.

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::StreamExt as _;

use super::client::DockerEngine;
use super::exec::{VERB, object};
use super::fault;
use super::kill::{KillGuard, Mark};
use crate::engine::{AttachRequest, Attached, AttachedControl, EngineError, EngineErrorKind as Kind, OutputPiece, Result, TerminalSize};

struct Control {
    engine: DockerEngine,
    id: String,
    object: String,
    guard: KillGuard,
}

// === impl DockerEngine ===

impl DockerEngine {
    /// Starts a command and hands out both ends of it.
    pub(super) async fn attach_exec(&self, container: &str, request: AttachRequest) -> Result<Attached> {
        let object = object(container, &request.cmd);
        let mark = Mark::new();
        let mut env = request.env;
        env.push(mark.entry().to_owned());
        let tty = request.tty.is_some();
        let config = ExecConfig {
            attach_stdin: Some(request.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            env: Some(env),
            cmd: Some(request.cmd),
            ..Default::default()
        };
        let id = self.call(VERB, &object, self.docker.create_exec(container, config)).await?.id;
        let options = StartExecOptions { tty, ..StartExecOptions::default() };
        let guard = KillGuard::new(self, container, mark);
        let (output, input) = match self.call(VERB, &object, self.docker.start_exec(&id, Some(options))).await? {
            StartExecResults::Attached { output, input } => (output, input),
            StartExecResults::Detached => {
                return Err(EngineError::new(VERB, object, Kind::Protocol, "the engine started the command without its output"));
            }
        };
        let told = object.clone();
        let output = output.map(move |frame| match frame {
            Ok(LogOutput::StdErr { message }) => Ok(OutputPiece::Stderr(message)),
            // Without a terminal every piece has its length in front; what has none is the rest of one that was torn.
            Ok(LogOutput::Console { .. }) if !tty => {
                Err(EngineError::new(VERB, &told, Kind::Interrupted, "its output broke off in the middle"))
            }
            Ok(other) => Ok(OutputPiece::Stdout(other.into_bytes())),
            Err(error) => Err(fault::map(VERB, &told, error)),
        });
        let control = Control { engine: self.clone(), id, object, guard };
        if let Some(size) = request.tty {
            // The command may have ended already; it is only a size.
            let _ = control.resize(size).await;
        }
        Ok(Attached { output: output.boxed(), input: request.stdin.then_some(input), control: Box::new(control) })
    }
}

// === impl Control ===

#[async_trait]
impl AttachedControl for Control {
    async fn resize(&self, size: TerminalSize) -> Result<()> {
        let options = ResizeExecOptionsBuilder::default().h(i32::from(size.rows)).w(i32::from(size.columns)).build();
        self.engine.call(VERB, &self.object, self.engine.docker.resize_exec(&self.id, options)).await
    }

    async fn exit_code(&mut self) -> Result<i64> {
        let code = self.engine.exit_code(&self.id, &self.object).await?;
        self.guard.disarm();
        Ok(code)
    }

    async fn kill(&mut self) -> Result<()> {
        let (engine, id, object) = (self.engine.clone(), self.id.clone(), self.object.clone());
        let ended = async { engine.exit_code(&id, &object).await.map(drop) };
        let killed = self.guard.kill(ended).await;
        killed.map_err(|reason| EngineError::new(VERB, &self.object, Kind::Failed, format!("the command may still run: {reason}")))
    }
}
