//! Building the fleet's binaries.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What is built: the services and the tools.
const PACKAGES: [&str; 5] = ["scheduler", "renderer", "dispatcher", "sandbox", "promemoria"];

/// The folder of the project.
#[must_use]
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Where the fleet's programs are.
#[derive(Debug, Clone)]
pub enum Binaries {
    /// One binary each, in this folder.
    Separate(PathBuf),
    /// One binary that takes the program's name as its first argument: the test build, whose clock the
    /// tests move.
    Together(PathBuf),
}

impl Binaries {
    /// Builds as a deployment does.
    ///
    /// # Errors
    /// The build failed; cargo has said why.
    pub fn build(release: bool) -> anyhow::Result<Self> {
        let root = project_root();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root).args(["build", "--quiet", "--locked"]);
        for package in PACKAGES {
            cargo.args(["-p", package]);
        }
        if release {
            cargo.arg("--release");
        }
        let status = cargo.status().context("cargo cannot be started")?;
        ensure!(status.success(), "the fleet's binaries do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self::Separate(target.join(if release { "release" } else { "debug" })))
    }

    /// A command that runs a program.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        match self {
            Self::Separate(folder) => Command::new(folder.join(name)),
            Self::Together(binary) => {
                let mut command = Command::new(binary);
                command.arg(name);
                command
            }
        }
    }
}
