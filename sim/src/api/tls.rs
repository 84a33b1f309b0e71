//! A certificate for `api.weixin.qq.com` from an authority that exists only in this process.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::PrivateKeyDer;

/// The name in the certificate.
pub(super) const NAME: &str = "api.weixin.qq.com";

/// What a server needs, and what its clients have to trust.
pub(super) struct Identity {
    pub(super) config: Arc<rustls::ServerConfig>,
    pub(super) ca_pem: String,
}

/// A new authority and a certificate for [`NAME`].
pub(super) fn identity() -> anyhow::Result<Identity> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "weir-sim test authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(vec![NAME.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, NAME);
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &authority)?;

    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|error| anyhow::anyhow!("private key: {error}"))?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok(Identity {
        config: Arc::new(config),
        ca_pem: authority.pem(),
    })
}
