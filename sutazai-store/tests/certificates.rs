//! Certificates for servers that speak TLS.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A root of its own and what a server needs: `ca.pem`, `cert.pem` and `key.pem` in one folder.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// For a server of this name.
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two roots of one name would be taken for each other, up to their signatures.
        root.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        let root_key = KeyPair::generate().unwrap();
        let write = |file: &str, pem: String| std::fs::write(folder.path().join(file), pem).unwrap();
        write("ca.pem", root.self_signed(&root_key).unwrap().pem());
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(root, root_key);
        let server = CertificateParams::new([name.to_owned()]).unwrap();
        write("cert.pem", server.signed_by(&key, &issuer).unwrap().pem());
        write("key.pem", key.serialize_pem());
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The root's file.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}
