//! An authority and what it, or somebody else, signs.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// Certificates for servers on `127.0.0.1`, and one for a client.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

/// What is wrong with a server's certificate, and the words of the refusal.
pub(crate) const FAULTS: [(&str, &str); 3] = [
    ("expired", "certificate expired"),
    ("elsewhere", "not valid for name"),
    ("self-signed", "UnknownIssuer"),
];

impl Authority {
    /// A new one, with its certificate in `folder/ca.pem`.
    pub(crate) fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned() }
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes `<to>.pem` and `<to>.key`: `good`, `client`, or one of [`FAULTS`].
    pub(crate) fn issue(&self, kind: &str, to: &str) {
        let name = if kind == "elsewhere" { "other.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let usage = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.extended_key_usages.extend(usage);
        if kind == "expired" {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let signed = match kind {
            "self-signed" => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        std::fs::write(self.file(&format!("{to}.pem")), signed.unwrap().pem()).unwrap();
        std::fs::write(self.file(&format!("{to}.key")), key.serialize_pem()).unwrap();
    }
}

/// An error and its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |it| it.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
