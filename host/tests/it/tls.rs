//! TLS to an upstream: who is believed, and what is asked for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;

const NAME: &str = "api.example";

/// A TLS upstream with a certificate for [`NAME`], the PEM file of its authority, and the names it was asked for.
fn tls_upstream() -> (Upstream, PathBuf, Arc<Mutex<Vec<Option<String>>>>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Other than the leaf's: BoringSSL would take a leaf of the same name for self-signed.
    params
        .distinguished_name
        .push(DnType::CommonName, "the authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let authority = authority.expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![NAME.to_owned()])
        .expect("a name")
        .signed_by(&key, &authority)
        .expect("a certificate");
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .expect("a configuration");
    let config = Arc::new(config);
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let upstream = Upstream::wrapped(Arc::new(move |mut tcp| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp).ok()?;
        }
        let name = connection.server_name().map(str::to_owned);
        seen.lock().expect("no panic").push(name);
        Some(Box::new(StreamOwned::new(connection, tcp)))
    }));
    let file = format!("ca-{}.pem", upstream.address.port());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&file, authority.pem()).expect("a file");
    (upstream, file, names)
}

/// A rig whose cluster `secure` goes to the TLS upstream under these checks.
fn rig(upstream: Upstream, sni: &str, validation: &str) -> Rig {
    let port = upstream.address.port();
    let setup = Setup {
        clusters: format!(
            r#"
  - name: secure
    type: STATIC
    load_assignment:
      cluster_name: secure
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ]
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: "{sni}"
        common_tls_context:
          validation_context: {validation}"#
        ),
        ..Setup::default()
    };
    setup.try_start_with(upstream).expect("it starts")
}

fn names(name: &str) -> String {
    format!("match_typed_subject_alt_names: [ {{ san_type: DNS, matcher: {{ exact: {name} }} }} ]")
}

fn call(rig: &Rig) -> String {
    rig.body("/call?cluster=secure&to=/x&ms=5000")
}

#[test]
fn a_certificate_of_the_authority_with_the_name_is_believed_and_the_clusters_name_is_asked_for() {
    let (upstream, ca, asked) = tls_upstream();
    let ca = ca.display();
    let rig = rig(
        upstream,
        NAME,
        &format!("{{ trusted_ca: {{ filename: {ca} }}, {} }}", names(NAME)),
    );
    let answer = call(&rig);
    assert!(answer.contains("status=200"), "{answer}");
    assert_eq!(
        rig.upstream.asked()[0].header("host"),
        Some("up.test"),
        "the call's own authority"
    );
    assert_eq!(*asked.lock().expect("no panic"), [Some(NAME.to_owned())]);
}

#[test]
fn a_certificate_without_the_name_is_not_believed_whatever_is_asked_for() {
    let (upstream, ca, _) = tls_upstream();
    let ca = ca.display();
    let validation = format!(
        "{{ trusted_ca: {{ filename: {ca} }}, {} }}",
        names("other.example")
    );
    let rig = rig(upstream, NAME, &validation);
    let answer = call(&rig);
    assert!(
        answer.contains("status=503") && answer.contains("upstream=false"),
        "{answer}"
    );
    assert!(rig.upstream.asked().is_empty());
}

#[test]
fn a_certificate_of_another_authority_is_not_believed() {
    let (upstream, _, _) = tls_upstream();
    let (_, other_ca, _) = tls_upstream();
    let other_ca = other_ca.display();
    let validation = format!(
        "{{ trusted_ca: {{ filename: {other_ca} }}, {} }}",
        names(NAME)
    );
    let rig = rig(upstream, NAME, &validation);
    assert!(call(&rig).contains("status=503"));
    assert!(rig.upstream.asked().is_empty());
}

#[test]
fn without_an_authority_nothing_is_verified() {
    let (upstream, _, asked) = tls_upstream();
    let rig = rig(upstream, "whatever.example", "{}");
    assert!(call(&rig).contains("status=200"));
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked, [Some("whatever.example".to_owned())]);
}
