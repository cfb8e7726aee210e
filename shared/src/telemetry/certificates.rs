//! When the certificates that the settings name end, so that an alert can come before.
//!
//! What the brokers themselves show is theirs to watch: with `amqp.tls.ca_file` unset the public authorities
//! are trusted, and nothing is read here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus::IntGaugeVec;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use x509_parser::pem::Pem;

use crate::settings::Settings;

/// How often the files are read: they may be renewed while the process runs.
const EVERY: Duration = Duration::from_hours(1);

/// The certificate files that the settings name, each with its setting.
#[must_use]
pub fn named(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let (amqp, redis) = (&settings.amqp.tls, &settings.redis.tls);
    let all = [
        ("amqp.tls.ca_file", &amqp.ca_file),
        ("amqp.tls.cert_file", &amqp.cert_file),
        ("redis.tls.ca_file", &redis.ca_file),
        ("redis.tls.cert_file", &redis.cert_file),
    ];
    all.into_iter().filter_map(|(setting, path)| Some((setting, path.clone()?))).collect()
}

/// Shows the ends of these certificates until `stop`.
pub async fn follow(files: Vec<(&'static str, PathBuf)>, ends: IntGaugeVec, stop: CancellationToken) {
    loop {
        for (setting, path) in &files {
            if let Some(end) = end_of(path) {
                ends.with_label_values(&[setting]).set(end);
            } else {
                warn!(setting, "the certificate file cannot be read");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// The earliest end of the certificates in a PEM file, Unix seconds; none without a readable one.
fn end_of(path: &Path) -> Option<i64> {
    let bytes = std::fs::read(path).ok()?;
    let end = |pem: Pem| Some(pem.parse_x509().ok()?.validity().not_after.timestamp());
    Pem::iter_from_buffer(&bytes).filter_map(|pem| end(pem.ok()?)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Self-signed for ten and for twenty years; their keys are gone.
    const SOON: &str = "\
-----BEGIN CERTIFICATE-----
MIIBLjCB1QIUFMsGs7SC1ao338igodPcEsrtyMUwCgYIKoZIzj0EAwIwGjEYMBYG
A1UEAwwPc29vbi5leGFtcGxlLml0MB4XDTI2MTEyMjAxMjQxMVoXDTM2MTExOTAx
MjQxMVowGjEYMBYGA1UEAwwPc29vbi5leGFtcGxlLml0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE5QTVGW0DvCoObLPwSj5JXo3EojWqy9BAUAZRXP9ou3I4SADr
cPL9ELtfBFbnym7NKgWUmWgdnlpGbMguaeIMTTAKBggqhkjOPQQDAgNIADBFAiEA
3y2viyNE+MkFYWEQJQRM1F9yx310GOhHPoLnYx6tz+oCIHqzvQD3DZVlCY9ztRm2
BgoAHW1CFccuRjZALMZlEgu0
-----END CERTIFICATE-----
";
    const LATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBLzCB1QIUXHpejjJ4xSqCC/kka6zO2D4KMXAwCgYIKoZIzj0EAwIwGjEYMBYG
A1UEAwwPbGF0ZS5leGFtcGxlLml0MB4XDTI2MTEyMjAxMjQxMloXDTQ2MTExNzAx
MjQxMlowGjEYMBYGA1UEAwwPbGF0ZS5leGFtcGxlLml0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEo6KmWwW47jLk29mlTJmOW1AsyYIeeL622DSdvIKPFMwynXoI
s37Sb8ojEJF1xuwu3t7mEz3lkp1szLAjyawkVDAKBggqhkjOPQQDAgNJADBGAiEA
4Bzpt9nIKsUJQXweqZrm4lYeJmQWHNHccuecsNxLYtwCIQC1C+3mbhUARE0Cva7+
dYrPahF31h/ljodNI8HItuKICQ==
-----END CERTIFICATE-----
";
    const SOON_END: i64 = 2_110_670_651;

    #[test]
    fn of_several_certificates_the_earliest_end_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert_eq!(end_of(&path), None);
        std::fs::write(&path, "no certificate").unwrap();
        assert_eq!(end_of(&path), None);
        std::fs::write(&path, format!("{LATE}{SOON}")).unwrap();
        assert_eq!(end_of(&path), Some(SOON_END));
    }
}
