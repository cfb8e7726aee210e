//! One broker in a Docker container.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as DockerError;
use testcontainers::bollard::models::PortBinding;
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::{CmdWaitFor, ExecCommand, IntoContainerPort as _};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::ports::free_port;
use super::process::family_of;
use super::watchdog::{Charge, Watchdog};

/// A daemon that does not answer within this is as good as none.
const DAEMON_ANSWER: Duration = Duration::from_secs(5);

/// What to run: an image, the port that it serves, and the arguments of its entry point.
pub(super) struct Recipe<'a> {
    /// Name and tag.
    pub(super) image: &'a str,
    /// The port inside the container.
    pub(super) port: u16,
    /// Replaces the image's own arguments where there are any.
    pub(super) arguments: Vec<String>,
}

/// A running or stopped container of ours, removed with this value.
pub(super) struct Container {
    container: Option<ContainerAsync<GenericImage>>,
    docker: Docker,
}

/// Asks the daemon for the images, without ever pulling one.
///
/// # Errors
///
/// Why they cannot be used, for a person.
pub(super) async fn images_are_here(images: [&str; 2]) -> Result<(), String> {
    let docker = docker_client_instance().await.map_err(|error| format!("no Docker: {error}"))?;
    timeout(DAEMON_ANSWER, docker.ping())
        .await
        .map_err(|_| "the Docker daemon does not answer".to_owned())?
        .map_err(|error| format!("the Docker daemon does not answer: {error}"))?;
    for image in images {
        match docker.inspect_image(image).await {
            Ok(_) => {}
            Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => {
                return Err(format!("image {image} is not on this machine"));
            }
            Err(error) => return Err(format!("cannot ask for image {image}: {error}")),
        }
    }
    Ok(())
}

impl Container {
    /// Starts a container and returns it with its port on 127.0.0.1, the same over restarts.
    pub(super) async fn start_new(
        recipe: Recipe<'_>,
        watchdog: &Arc<Watchdog>,
    ) -> anyhow::Result<(Self, u16)> {
        let docker = docker_client_instance().await.context("no Docker")?;
        let host_port = free_port()?;
        let (name, tag) = split_image(recipe.image);
        let inside = recipe.port.tcp();
        let bindings = HashMap::from([(
            inside.to_string(),
            Some(vec![PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(host_port.to_string()),
            }]),
        )]);
        let request = GenericImage::new(name, tag)
            .with_exposed_port(inside)
            .with_cmd(recipe.arguments)
            // A published random port would be another one after each restart.
            .with_host_config_modifier(move |host| {
                host.publish_all_ports = Some(false);
                host.port_bindings = Some(bindings.clone());
            });
        let container =
            request.start().await.with_context(|| format!("cannot start a container of {}", recipe.image))?;
        watchdog.guard(&Charge::Container(container.id()))?;
        Ok((Self { container: Some(container), docker }, host_port))
    }

    /// Starts the same container again.
    pub(super) async fn start(&self) -> anyhow::Result<()> {
        self.get()?.start().await.context("cannot start the container")
    }

    /// Asks the server to end and waits for it; Docker kills it after 20 s.
    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        // A frozen server hears no request; one that runs refuses to be resumed.
        drop(self.get()?.unpause().await);
        self.get()?.stop_with_timeout(Some(20)).await.context("cannot stop the container")
    }

    /// Ends the server as a crash does.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        self.docker.kill_container(self.get()?.id(), None).await.context("cannot kill the container")
    }

    /// Freezes the server's processes.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        self.get()?.pause().await.context("cannot pause the container")
    }

    /// Lets the server's processes go on.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.get()?.unpause().await.context("cannot resume the container")
    }

    /// Runs a command inside and waits until it ends well.
    pub(super) async fn execute(&self, command: &[&str]) -> anyhow::Result<()> {
        let program = command.first().copied().unwrap_or_default();
        let command =
            ExecCommand::new(command.iter().copied()).with_cmd_ready_condition(CmdWaitFor::exit_code(0));
        self.get()?
            .exec(command)
            .await
            .map(drop)
            .with_context(|| format!("{program} failed in the container"))
    }

    /// The ids, on this machine, of the container's processes.
    pub(super) async fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let details = self.docker.inspect_container(self.get()?.id(), None).await?;
        let pid = details.state.and_then(|state| state.pid).unwrap_or_default();
        Ok(u32::try_from(pid).ok().filter(|pid| *pid != 0).map(family_of).unwrap_or_default())
    }

    /// Why it will never answer, if its server ended.
    pub(super) async fn failure(&self) -> anyhow::Result<Option<String>> {
        let code = self.get()?.exit_code().await?;
        Ok(code.map(|code| format!("its container ended with code {code}")))
    }

    /// The last lines of the server's output.
    pub(super) async fn log_tail(&self, lines: usize) -> String {
        let Ok(container) = self.get() else { return String::new() };
        let mut output = container.stdout_to_vec().await.unwrap_or_default();
        output.extend(container.stderr_to_vec().await.unwrap_or_default());
        let text = String::from_utf8_lossy(&output);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Removes the container with its volume.
    pub(super) async fn remove(&mut self) -> anyhow::Result<()> {
        let Some(container) = self.container.take() else { return Ok(()) };
        // Some daemons cannot kill what is frozen; one that runs refuses to be resumed.
        drop(container.unpause().await);
        container.rm().await.context("cannot remove the container")
    }

    fn get(&self) -> anyhow::Result<&ContainerAsync<GenericImage>> {
        self.container.as_ref().context("the container is removed")
    }
}

/// testcontainers removes a dropped container by a task, which takes a runtime. Without one, as in a static
/// or after the runtime's end, the watchdog does it.
impl Drop for Container {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            std::mem::forget(self.container.take());
        }
    }
}

/// Name and tag; a colon before a slash is a registry's port and no tag.
fn split_image(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::split_image;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(split_image("promemoria/redis:debian12"), ("promemoria/redis", "debian12"));
        assert_eq!(split_image("redis"), ("redis", "latest"));
        assert_eq!(split_image("localhost:5000/redis"), ("localhost:5000/redis", "latest"));
    }
}
