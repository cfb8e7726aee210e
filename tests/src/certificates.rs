//! An authority and what it, or somebody else, signs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// Certificates for servers on `127.0.0.1`, and one for a client.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

/// What is wrong with a server's certificate, and the words of the refusal.
pub const FAULTS: [(&str, &str); 3] = [
    ("expired", "certificate expired"),
    ("elsewhere", "not valid for name"),
    ("self-signed", "UnknownIssuer"),
];

impl Authority {
    /// A new one, with its certificate in `folder/ca.pem`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), folder: folder.to_owned() })
    }

    /// A file of the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes `<to>.pem` and `<to>.key`: `good`, `client`, or one of [`FAULTS`].
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn issue(&self, kind: &str, to: &str) -> anyhow::Result<()> {
        let (certificate, key) = self.sign(kind)?;
        std::fs::write(self.file(&format!("{to}.pem")), certificate.pem())?;
        Ok(std::fs::write(self.file(&format!("{to}.key")), key.serialize_pem())?)
    }

    /// What a server of that kind shows, in memory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn server(&self, kind: &str) -> anyhow::Result<rustls::ServerConfig> {
        let (certificate, key) = self.sign(kind)?;
        // Already installed by another part of this process: the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        config.with_single_cert(vec![certificate.der().clone()], key).context("a server's certificate")
    }

    fn sign(&self, kind: &str) -> anyhow::Result<(rcgen::Certificate, KeyPair)> {
        let name = if kind == "elsewhere" { "other.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        let usage = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.extended_key_usages.extend(usage);
        if kind == "expired" {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate()?;
        let signed = match kind {
            "self-signed" => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        Ok((signed?, key))
    }
}

/// An error and its causes, in one line.
#[must_use]
pub fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |it| it.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
