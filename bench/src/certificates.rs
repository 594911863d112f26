//! The certificates of the endpoint: a root, an intermediate and the host's own, each with an RSA key, as AWS's hosts
//! have them. So a program checks three RSA signatures when it connects, as on AWS.
//!
//! A shipped program trusts the roots that were compiled into it, and no others. So that it is measured as it is shipped,
//! the copy that runs has the first of these roots overwritten with ours, byte for byte, padded with blank lines.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize,
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use crate::Fault;

/// The name that programs connect to. It is in every machine's hosts file.
pub(crate) const HOST: &str = "localhost";

/// The chain of the endpoint.
pub(crate) struct Certificates {
    /// The root, as PEM.
    pub(crate) root: String,
    /// What the endpoint presents: its own certificate, and the intermediate.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, Fault> {
        Self::try_make().map_err(|error| Fault::new(format!("no certificates can be made: {error}")))
    }

    fn try_make() -> Result<Self, rcgen::Error> {
        let key = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048);
        let root = CertifiedIssuer::self_signed(authority("Root"), key()?)?;
        let intermediate = CertifiedIssuer::signed_by(authority("Intermediate"), key()?, &root)?;
        let own = key()?;
        let leaf = CertificateParams::new([HOST.to_owned()])?.signed_by(&own, &intermediate)?;
        Ok(Self {
            root: root.pem(),
            chain: vec![leaf.der().clone(), intermediate.der().clone()],
            key: PrivateKeyDer::Pkcs8(own.serialize_der().into()),
        })
    }

    /// The TLS settings of the endpoint. AWS's hosts speak HTTP/1.1, and choose AES with 128 bits where a client has it
    /// (<https://aws.github.io/s2n-tls/usage-guide/ch06-security-policies.html>).
    pub(crate) fn server(&self) -> Result<ServerConfig, Fault> {
        let cannot = |error| Fault::new(format!("the endpoint cannot use its certificate: {error}"));
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(cannot)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(cannot)?;
        // A cold start has no session to resume.
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A copy of a program in which this root stands in the place of the first that it trusts. `roots` is what was
    /// compiled into the program.
    pub(crate) fn trusted_by(&self, program: &[u8], roots: &str) -> Result<Vec<u8>, Fault> {
        const END: &str = "-----END CERTIFICATE-----";
        let first = roots
            .find(END)
            .and_then(|end| roots.get(..end + END.len()))
            .ok_or_else(|| Fault::new("the list of roots holds no certificate"))?;
        let place = program
            .windows(first.len())
            .position(|window| window == first.as_bytes())
            .ok_or_else(|| Fault::new("the program does not hold the roots that it should trust"))?;
        let ours = self.root.replace('\r', "");
        let mut ours = ours.trim_end().as_bytes().to_vec();
        if ours.len() > first.len() {
            return Err(Fault::new("the bench's root is longer than the one whose place it takes"));
        }
        ours.resize(first.len(), b'\n');
        let mut copy = program.to_vec();
        copy.splice(place..place + first.len(), ours);
        Ok(copy)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

#[cfg(test)]
mod tests {
    use super::Certificates;

    #[test]
    fn the_copy_of_a_program_trusts_the_endpoint_in_the_place_of_the_first_root() {
        let roots = include_str!("../../crates/lambda_shell/src/roots.pem");
        let certificates = Certificates::make().expect("certificates");
        let program = [b"before".as_slice(), roots.as_bytes(), b"after"].concat();
        let copy = certificates.trusted_by(&program, roots).expect("a copy");
        assert_eq!(copy.len(), program.len());
        let copy = String::from_utf8(copy).expect("text");
        assert!(copy.contains(certificates.root.trim_end()));
        assert_eq!(copy.matches("BEGIN CERTIFICATE").count(), roots.matches("BEGIN CERTIFICATE").count());
        assert!(certificates.trusted_by(b"another program", roots).is_err());
    }
}
