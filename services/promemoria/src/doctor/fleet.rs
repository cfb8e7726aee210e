//! The processes that are alive: do their releases, formats and catalogues fit one another, this command line and
//! the store?

use std::collections::{BTreeMap, BTreeSet};

use shared::presence::SILENT_MS;
use shared::store::Redis;
use shared::store::replicas::Replica;
use shared::telemetry::{COMMIT, VERSION};

use super::{Finding, State};
use crate::report::counted;
use crate::setup::Setup;

/// What to do while two releases are alive.
const MEND: &str = "a rollout is under way: let it end, or end it (docs/upgrades.md)";

/// Looks at what the processes tell of themselves. An error of the store is a finding of `redis`.
pub(super) async fn look(setup: &Setup, redis: &Redis) -> Vec<Finding> {
    let mut findings = match redis.replicas().await {
        Ok((replicas, now_ms)) => {
            let alive: Vec<_> = replicas.into_iter().filter(|it| now_ms - it.at_ms <= SILENT_MS).collect();
            of_replicas(&alive, &setup.catalogue.digest)
        }
        Err(error) => vec![unread("processes", &error)],
    };
    for ente in setup.enti.enti() {
        if let Err(error) = redis.check_format(&ente.id).await {
            findings.push(unread(&format!("redis {} format", ente.id), &error));
        }
    }
    findings
}

fn unread(what: &str, error: &shared::store::StoreError) -> Finding {
    let mend = "use the command line of the release that runs";
    Finding::new(State::Bad, what, error.to_string(), mend)
}

/// What is to be said of the replicas that are alive.
fn of_replicas(alive: &[Replica], own_catalogue: &str) -> Vec<Finding> {
    if alive.is_empty() {
        let how = "none has said in the last 30 s that it is alive";
        return vec![Finding::new(State::Note, "processes", how, "start the services")];
    }
    let mut findings = vec![releases(alive)];
    findings.extend(misfits(alive));
    findings.extend(catalogues(alive, own_catalogue));
    findings
}

/// Which releases are alive.
fn releases(alive: &[Replica]) -> Finding {
    let mut by_release: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for replica in alive {
        let services = by_release.entry(release(&replica.version, &replica.commit)).or_default();
        *services.entry(&replica.service).or_default() += 1;
    }
    let told = by_release.iter().map(|(release, services)| {
        let counts: Vec<_> = services.iter().map(|(service, count)| format!("{count} {service}")).collect();
        format!("{}: {release}", counts.join(", "))
    });
    let how = told.collect::<Vec<_>>().join("; ");
    let own = release(VERSION, COMMIT);
    match by_release.len() {
        1 if by_release.contains_key(&own) => Finding::good("processes", how),
        1 => {
            let how = format!("{how}; this command line is {own}");
            Finding::new(State::Note, "processes", how, "use the command line of the release that runs")
        }
        _ => Finding::new(State::Note, "processes", how, MEND),
    }
}

fn release(version: &str, commit: &str) -> String {
    let short = commit.get(..12).unwrap_or(commit);
    format!("{version} ({short})")
}

/// Processes that do not read what others write.
fn misfits(alive: &[Replica]) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    let names: BTreeSet<&String> = alive.iter().flat_map(|replica| replica.formats.keys()).collect();
    for name in names {
        let written: BTreeSet<u8> =
            alive.iter().filter_map(|it| it.formats.get(name)).map(|format| format[1]).collect();
        for replica in alive {
            let [oldest, _, newest] = replica.formats.get(name).copied().unwrap_or_default();
            for version in written.iter().filter(|version| !(oldest..=newest).contains(version)) {
                let Replica { service, name: who, version: release, .. } = replica;
                found.insert(format!(
                    "{service} {who} ({release}) reads {name} {oldest} to {newest}, {version} is written"
                ));
            }
        }
    }
    let bad = |how| Finding::new(State::Bad, "formats", how, "replace the older release (docs/upgrades.md)");
    found.into_iter().map(bad).collect()
}

/// Replicas that plan and write by different catalogues.
fn catalogues(alive: &[Replica], own: &str) -> Option<Finding> {
    let mut by_digest: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for replica in alive {
        let names = by_digest.entry(&replica.catalogue).or_default();
        names.push(format!("{} {}", replica.service, replica.name));
    }
    if by_digest.len() > 1 {
        let told = by_digest.iter().map(|(digest, names)| format!("{digest}: {}", names.join(", ")));
        let how = format!("replicas have different ones: {}", told.collect::<Vec<_>>().join("; "));
        return Some(Finding::new(State::Bad, "catalogue", how, "give all of them the same, by a rollout"));
    }
    let (digest, names) = by_digest.first_key_value()?;
    if *digest == own {
        return Some(Finding::good("catalogue", format!("{own}, {}", counted(names.len(), "replica"))));
    }
    let how = format!("the replicas have {digest}, this command line {own}");
    let mend = "point catalogue_dir at theirs before you trust `simulate`, `preview` and `lint`";
    Some(Finding::new(State::Note, "catalogue", how, mend))
}

#[cfg(test)]
mod tests {
    use shared::formats::FORMATS;

    use super::*;

    fn replica(service: &str, name: &str) -> Replica {
        let formats = FORMATS.into_iter().map(|it| (it.name.to_owned(), [0, 1, 1])).collect();
        let (service, name, catalogue) = (service.to_owned(), name.to_owned(), "c0".to_owned());
        let (version, commit) = (VERSION.to_owned(), COMMIT.to_owned());
        Replica { service, name, version, commit, catalogue, formats, at_ms: 1 }
    }

    fn states(findings: &[Finding]) -> Vec<(&str, State)> {
        findings.iter().map(|finding| (finding.what.as_str(), finding.state)).collect()
    }

    #[test]
    fn one_release_with_one_catalogue_is_good() {
        let alive = [replica("scheduler", "a"), replica("renderer", "b"), replica("renderer", "c")];
        let findings = of_replicas(&alive, "c0");
        assert_eq!(states(&findings), [("processes", State::Good), ("catalogue", State::Good)]);
        assert!(findings[0].how.starts_with("2 renderer, 1 scheduler: "), "{}", findings[0].how);
    }

    #[test]
    fn two_releases_are_noted_and_named_where_they_do_not_fit() {
        let mut newer = replica("scheduler", "b");
        newer.version = "9.0.0".to_owned();
        let fits = of_replicas(&[replica("renderer", "a"), newer.clone()], "c0");
        assert_eq!(states(&fits), [("processes", State::Note), ("catalogue", State::Good)]);
        newer.formats.insert("render".to_owned(), [1, 2, 2]);
        let findings = of_replicas(&[replica("renderer", "a"), newer], "c0");
        assert_eq!(states(&findings)[1], ("formats", State::Bad));
        let expected = format!("renderer a ({VERSION}) reads render 0 to 1, 2 is written");
        assert_eq!(findings[1].how, expected);
    }

    #[test]
    fn a_format_that_only_the_newer_knows_is_named() {
        let mut newer = replica("scheduler", "b");
        newer.formats.insert("nuovo".to_owned(), [0, 1, 1]);
        let findings = of_replicas(&[replica("renderer", "a"), newer], "c0");
        assert!(findings.iter().any(|it| it.state == State::Bad && it.how.contains("nuovo")), "{findings:?}");
    }

    #[test]
    fn catalogues_that_differ_are_bad_and_one_that_is_not_ours_is_a_note() {
        let mut other = replica("renderer", "b");
        other.catalogue = "c1".to_owned();
        let findings = of_replicas(&[replica("scheduler", "a"), other], "c0");
        assert_eq!(states(&findings)[1], ("catalogue", State::Bad));
        assert!(findings[1].how.contains("c1: renderer b"), "{}", findings[1].how);
        let findings = of_replicas(&[replica("scheduler", "a")], "c9");
        assert_eq!(states(&findings)[1], ("catalogue", State::Note));
    }

    #[test]
    fn a_command_line_of_another_release_says_so() {
        let mut other = replica("scheduler", "a");
        other.version = "9.0.0".to_owned();
        let finding = &of_replicas(&[other], "c0")[0];
        assert_eq!(finding.state, State::Note);
        assert!(finding.how.contains("this command line is"), "{}", finding.how);
    }
}
