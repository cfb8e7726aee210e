use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;

use super::super::{Live, Registry};
use super::enti::{LEAST, trusting};
use super::{assert_fault, write};

fn named(id: &str, comune: &str) -> String {
    LEAST.replace("\"rocca\"", &format!("\"{id}\"")).replace("\"Rocca\"", &format!("\"{comune}\""))
}

fn two(folder: &Path) -> Live {
    write(folder, "rocca.toml", &named("rocca", "Rocca"));
    write(folder, "lago.toml", &named("lago", "Lago"));
    Live::load(folder, trusting()).unwrap()
}

fn comune(registry: &Registry, id: &str) -> String {
    registry.ente(id).unwrap().comune.clone()
}

#[test]
fn a_bad_file_at_start_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rocca.toml", "id = 1");
    assert_fault(&Live::load(folder.path(), trusting()).unwrap_err(), "rocca.toml", "id", "text");
}

#[test]
fn a_bad_file_keeps_the_old_ente_and_the_others_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let live = two(folder.path());
    write(folder.path(), "rocca.toml", "id = \"rocca\"\nbroken");
    write(folder.path(), "lago.toml", &named("lago", "Lagonuovo"));
    write(folder.path(), "monte.toml", &named("monte", "Monte"));
    write(folder.path(), "valle.toml", "broken");
    let faults = live.reload();
    assert_eq!(faults.len(), 2);
    assert_fault(&faults, "rocca.toml", "-", "not TOML");
    let now = live.current();
    assert_eq!(comune(&now, "rocca"), "Rocca");
    assert_eq!(comune(&now, "lago"), "Lagonuovo");
    assert_eq!(comune(&now, "monte"), "Monte");
    assert!(now.ente("valle").is_none());
}

#[test]
fn an_ente_whose_file_is_gone_goes_and_the_others_keep_their_arc() {
    let folder = tempfile::tempdir().unwrap();
    let live = two(folder.path());
    let before = live.current();
    std::fs::remove_file(folder.path().join("lago.toml")).unwrap();
    assert_eq!(live.reload(), []);
    let now = live.current();
    assert!(now.ente("lago").is_none());
    assert!(Arc::ptr_eq(before.ente("rocca").unwrap(), now.ente("rocca").unwrap()));
}

#[test]
fn a_folder_that_is_gone_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let enti = folder.path().join("enti");
    let live = two(&enti);
    std::fs::remove_dir_all(&enti).unwrap();
    assert_eq!(live.reload().len(), 1);
    assert_eq!(live.current().enti().count(), 2);
}

#[test]
fn a_new_key_in_the_same_file_is_a_new_ente() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "key", "one");
    write(folder.path(), "enti/rocca.toml", &LEAST.replace("chiave = \"k\"", "chiave_file = \"../key\""));
    let live = Live::load(&folder.path().join("enti"), trusting()).unwrap();
    let before = live.current();
    write(folder.path(), "key", "two");
    assert_eq!(live.reload(), []);
    assert!(!Arc::ptr_eq(before.ente("rocca").unwrap(), live.current().ente("rocca").unwrap()));
}

#[test]
fn an_ente_that_breaks_the_agreement_on_an_account_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let shared = |id: &str, calls: u32| {
        format!("{}[io]\naccount = \"unione\"\ncalls_per_5s = {calls}\n", named(id, "Comune"))
    };
    write(folder.path(), "rocca.toml", &shared("rocca", 150));
    write(folder.path(), "lago.toml", &shared("lago", 150));
    let live = Live::load(folder.path(), trusting()).unwrap();
    write(folder.path(), "lago.toml", &shared("lago", 250));
    assert_fault(&live.reload(), "lago.toml", "io.calls_per_5s", "must agree");
    assert_eq!(live.current().ente("lago").unwrap().io.calls_per_5s, 150);
    write(folder.path(), "rocca.toml", &shared("rocca", 250));
    assert_eq!(live.reload(), [], "both at once agree again");
    assert_eq!(live.current().ente("rocca").unwrap().io.calls_per_5s, 250);
}

/// A folder that is being followed.
struct Followed {
    live: Arc<Live>,
    exchanged: tokio::sync::watch::Receiver<Arc<Registry>>,
    errors: IntCounter,
    stop: CancellationToken,
    following: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Followed {
    fn start(live: Live) -> Self {
        let live = Arc::new(live);
        let errors = IntCounter::new("errors", "of a test").unwrap();
        let stop = CancellationToken::new();
        let following = tokio::spawn(Arc::clone(&live).follow(errors.clone(), stop.clone()));
        Self { exchanged: live.subscribe(), live, errors, stop, following }
    }

    /// Waits until the ente's `comune` is that.
    async fn until(&mut self, id: &str, value: &str) {
        let is_there = |registry: &Arc<Registry>| registry.ente(id).is_some_and(|ente| ente.comune == value);
        let wait = self.exchanged.wait_for(is_there);
        tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap().unwrap();
    }

    async fn end(self) {
        self.stop.cancel();
        self.following.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_changed_file_takes_effect_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut followed = Followed::start(two(folder.path()));
    write(folder.path(), "rocca.toml", &named("rocca", "Rocca Alta"));
    followed.until("rocca", "Rocca Alta").await;
    write(folder.path(), "monte.toml", &named("monte", "Monte"));
    followed.until("monte", "Monte").await;
    assert_eq!(followed.errors.get(), 0);
    followed.end().await;
}

#[tokio::test]
async fn a_refused_file_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut followed = Followed::start(two(folder.path()));
    write(folder.path(), "rocca.toml", "broken");
    write(folder.path(), "lago.toml", &named("lago", "Lagonuovo"));
    followed.until("lago", "Lagonuovo").await;
    assert_eq!(comune(&followed.live.current(), "rocca"), "Rocca");
    let errors = followed.errors.clone();
    followed.end().await;
    assert!(errors.get() > 0);
}

#[tokio::test]
async fn a_mounted_config_map_takes_effect_when_its_link_is_swapped() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "..one/rocca.toml", &named("rocca", "Rocca"));
    symlink("..one", path.join("..data")).unwrap();
    symlink("..data/rocca.toml", path.join("rocca.toml")).unwrap();
    let mut followed = Followed::start(Live::load(path, trusting()).unwrap());
    write(path, "..two/rocca.toml", &named("rocca", "Rocca Alta"));
    symlink("..two", path.join("..data_tmp")).unwrap();
    std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    followed.until("rocca", "Rocca Alta").await;
    followed.end().await;
}

#[tokio::test]
async fn sighup_reads_what_the_watch_cannot_see() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "elsewhere/rocca.toml", &named("rocca", "Rocca"));
    let enti = folder.path().join("enti");
    write(&enti, "lago.toml", &named("lago", "Lago"));
    std::os::unix::fs::symlink("../elsewhere/rocca.toml", enti.join("rocca.toml")).unwrap();
    let mut followed = Followed::start(Live::load(&enti, trusting()).unwrap());
    write(&enti, "lago.toml", &named("lago", "Lagonuovo"));
    followed.until("lago", "Lagonuovo").await; // the signal handler stands from here
    write(folder.path(), "elsewhere/rocca.toml", &named("rocca", "Rocca Alta"));
    let pid = std::process::id().to_string();
    assert!(tokio::process::Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    followed.until("rocca", "Rocca Alta").await;
    followed.end().await;
}
