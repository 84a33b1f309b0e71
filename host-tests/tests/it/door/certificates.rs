//! Applications that are known by a certificate, as `envoy.yaml` shows it: TLS at the door's listener, in real Envoy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use weir_host_tests::{InEnvoy, Plan, SHOP_KEY, World};
use weir_testbed::bootstrap::DOOR_LISTENER;
use weir_testbed::layout::Layout;

const SHOP: &str = "spiffe://weir.example/shop";
const NAME: &str = "door.example";

/// Certificates and keys, in files.
struct Authority {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        // Both authorities say that they are the same one.
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CommonName, "applications");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let dir = dir.join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("ca.pem"), issuer.pem())?;
        Ok(Self { dir, issuer })
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Files of a certificate and its key.
    fn issue(&self, name: &str, san: SanType) -> Result<[PathBuf; 2]> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(san);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let files = ["pem", "key"].map(|kind| self.dir.join(format!("{name}.{kind}")));
        fs::write(&files[0], certificate.pem())?;
        fs::write(&files[1], key.serialize_pem())?;
        Ok(files)
    }
}

/// What `envoy.yaml` has in its comment.
fn transport_socket(server: &[PathBuf; 2], clients_ca: &Path) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": true,
            "common_tls_context": {
                "tls_certificates": [{
                    "certificate_chain": { "filename": server[0] },
                    "private_key": { "filename": server[1] },
                }],
                "validation_context": { "trusted_ca": { "filename": clients_ca } },
            },
        },
    })
}

/// A GET over TLS; the whole answer as text.
async fn ask(
    world: &World<InEnvoy>,
    authority: &Authority,
    client: Option<&[PathBuf; 2]>,
    headers: &str,
) -> Result<String> {
    use weir_host_tests::Gateway as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.ca())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some([certificate, key]) => config.with_client_auth_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?,
    };
    let tcp = TcpStream::connect(world.gateway.door_address()?).await?;
    let name = ServerName::try_from(NAME)?;
    let mut tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    let request = format!(
        "GET /cgi-bin/tags/get HTTP/1.1\r\nhost: {NAME}\r\n{headers}connection: close\r\n\r\n"
    );
    tls.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_known_by_a_certificate_shows_it_on_the_wire() -> Result<()> {
    let dir = Layout::of_this_checkout().scratch("host-tests", "certificates")?;
    let authority = Authority::new(&dir, "ours")?;
    let server = authority.issue("door", SanType::DnsName(NAME.try_into()?))?;
    let uri = |uri: &str| -> Result<SanType> { Ok(SanType::URI(uri.try_into()?)) };
    let shop = authority.issue("shop", uri(SHOP)?)?;
    let longer = authority.issue("longer", uri(&format!("{SHOP}/other"))?)?;
    let dns = authority.issue("dns", SanType::DnsName("shop.weir.example".try_into()?))?;
    let forged = Authority::new(&dir, "theirs")?.issue("shop", uri(SHOP)?)?;

    let socket = transport_socket(&server, &authority.ca());
    let plan = Plan::default()
        .door(|door| {
            door["clients"] = json!([
                { "name": "shop", "san": SHOP, "accounts": ["demo"], "allow": ["/cgi-bin/"] },
                { "name": "both", "san": format!("{SHOP}/other"), "key_env": "WEIR_SHOP_KEY",
                  "accounts": ["demo"], "allow": ["/cgi-bin/"] },
            ]);
        })
        .bootstrap(move |bootstrap| {
            let listeners = bootstrap
                .document_mut()
                .pointer_mut("/static_resources/listeners")
                .and_then(Value::as_array_mut)
                .context("listeners")?;
            let door = listeners
                .iter_mut()
                .find(|listener| listener["name"] == DOOR_LISTENER);
            door.context("the door")?["filter_chains"][0]["transport_socket"] = socket;
            Ok(())
        });
    let Some(world) = World::<InEnvoy>::start("door-certificates", plan).await? else {
        return Ok(());
    };

    let with_key = format!("authorization: Bearer {SHOP_KEY}\r\n");
    let spoofed = format!("x-forwarded-client-cert: URI={SHOP}\r\n");
    for (case, certificate, headers, passes) in [
        ("the shop", &shop, "", true),
        ("another's certificate alone", &longer, "", false),
        ("the other, with its key", &longer, with_key.as_str(), true),
        (
            "the other's key, the shop's certificate",
            &shop,
            &with_key,
            false,
        ),
        ("a certificate of another kind of name", &dns, "", false),
        ("the same, and a header of a proxy", &dns, &spoofed, false),
    ] {
        let before = world.api().ledger().count("/cgi-bin/tags/get");
        let answer = ask(&world, &authority, Some(certificate), headers).await?;
        let came = world.api().ledger().count("/cgi-bin/tags/get") - before;
        assert_eq!(answer.contains("\"tags\""), passes, "{case}: {answer}");
        assert_eq!(came, u64::from(passes), "{case}");
    }
    for (case, certificate) in [("none at all", None), ("a forged one", Some(&forged))] {
        let answer = ask(&world, &authority, certificate, &with_key).await;
        assert!(answer.is_err(), "{case}: {answer:?}");
    }
    Ok(())
}
