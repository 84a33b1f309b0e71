//! TLS to an upstream, verified as the cluster says and not as the request says.
//!
//! The certificate must be signed by one of `trusted_ca` and carry one of the names asked for. The name sent as SNI
//! plays no part in that. Without `trusted_ca` nothing is verified, as in Envoy.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Tls;

/// Makes TLS connections for one cluster.
pub(crate) struct Connector {
    tls: TlsConnector,
    sni: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("sni", &self.sni)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// # Errors
    /// What is wrong with the settings, in words.
    pub(crate) fn new(settings: &Tls) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(settings, Arc::clone(&provider))?;
        let versions: &[_] = if settings.only_tls13 {
            &[&rustls::version::TLS13]
        } else {
            &[&rustls::version::TLS12, &rustls::version::TLS13]
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.enable_sni = settings.sni.is_some();
        let sni = settings.sni.as_deref().map(server_name).transpose()?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            sni,
        })
    }

    pub(crate) async fn connect(
        &self,
        tcp: TcpStream,
        address: IpAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = self.sni.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(address.into()));
        self.tls.connect(name, tcp).await
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no host name"))
}

/// Checks what the cluster asks for.
#[derive(Debug)]
struct Verifier {
    /// None: nothing is verified.
    roots: Option<RootCertStore>,
    names: Vec<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(settings: &Tls, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let roots = match &settings.trusted_ca_pem {
            None => None,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate =
                        certificate.map_err(|error| format!("trusted_ca: {error}"))?;
                    // A bundle may hold certificates that are too odd to be used; the others still count.
                    let _ = roots.add(certificate);
                }
                if roots.is_empty() {
                    return Err("trusted_ca holds no usable certificate".to_owned());
                }
                Some(roots)
            }
        };
        let names = settings.subject_alt_names.iter();
        Ok(Self {
            roots,
            names: names
                .map(|name| server_name(name))
                .collect::<Result<_, _>>()?,
            provider,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sni: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        let mut names = self.names.iter();
        let named = self.names.is_empty()
            || names.any(|name| verify_server_name(&certificate, name).is_ok());
        if !named {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
