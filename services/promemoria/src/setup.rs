//! Settings, catalogue and enti, as a command needs them.

use std::path::Path;
use std::sync::Arc;

use shared::domain::Fault;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::domain::render::Texts;
use shared::service::{RunError, in_force, recipient_hash};
use shared::settings::{Registry, Settings, environment};
use shared::wire::RecipientHash;

use crate::report::Failure;

/// Everything that is read before a command begins.
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) enti: Arc<Registry>,
}

impl Setup {
    /// Reads it all.
    pub(crate) fn load(config: Option<&Path>) -> Result<Self, Failure> {
        let settings = settings(config)?;
        let (catalogue, enti) = in_force(&settings).map_err(|error| match error {
            RunError::Faults(all) => faults(&all),
            other => Failure::fault(other.to_string()),
        })?;
        Ok(Self { settings, catalogue, enti: enti.current() })
    }

    /// The ente of that id.
    pub(crate) fn ente(&self, id: &str) -> Result<&Ente, Failure> {
        self.enti.ente(id).map(AsRef::as_ref).ok_or_else(|| {
            let known: Vec<&str> = self.enti.enti().map(|ente| ente.id.as_str()).collect();
            Failure::Usage(format!("--ente: is not known; known are {}", known.join(", ")))
        })
    }

    /// The texts in force for an ente.
    pub(crate) fn texts(&self, ente: &Ente) -> Result<Texts, Failure> {
        Texts::compile(&self.catalogue, [ente])
            .map_err(|all| Failure::Fault(all.iter().map(ToString::to_string).collect()))
    }

    /// The keyed hash of recipients.
    pub(crate) fn hash(&self) -> RecipientHash {
        recipient_hash(&self.settings)
    }
}

/// The settings alone.
pub(crate) fn settings(config: Option<&Path>) -> Result<Settings, Failure> {
    Settings::load(config, environment()).map_err(|all| faults(&all))
}

/// The catalogue alone.
pub(crate) fn catalogue(config: Option<&Path>) -> Result<Catalogue, Failure> {
    catalogue_of(&settings(config)?)
}

fn catalogue_of(settings: &Settings) -> Result<Catalogue, Failure> {
    Catalogue::load(&settings.catalogue_dir).map_err(|all| faults(&all))
}

fn faults(all: &[Fault]) -> Failure {
    Failure::Fault(all.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// The project's own settings for trial.
    pub(crate) fn config() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/fleet.toml")
    }

    /// The project's catalogue and the two enti for trial, whatever the environment says; IO is on loopback,
    /// where the trial key serves.
    pub(crate) fn setup() -> Setup {
        let local = ("PROMEMORIA__IO__BASE_URL".to_owned(), "http://127.0.0.1:8099/api/v1".to_owned());
        let settings = Settings::load(Some(&config()), std::iter::once(local)).unwrap();
        let (catalogue, enti) = in_force(&settings).unwrap();
        Setup { settings, catalogue, enti: enti.current() }
    }

    #[test]
    fn an_unknown_ente_is_refused_with_the_known_ones() {
        let Err(Failure::Usage(line)) = setup().ente("altrove").map(|ente| ente.id.clone()) else {
            panic!("must be refused");
        };
        assert_eq!(line, "--ente: is not known; known are borgochiaro, roccamarina");
    }
}
