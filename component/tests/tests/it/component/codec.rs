//! The codec from Rust and from Python, with the vectors of the crate `protocol`.

use std::process::Command;

use serde_json::Value;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store, ensure};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use weir_component_tests::{built, vectors, vectors_dir};
use weir_testbed::layout::Layout;

use self::exports::weir::codec::codec::{Answer, Blame, Format};

wasmtime::component::bindgen!({ world: "weir-codec", path: "../codec/wit" });

struct Nothing {
    wasi: WasiCtx,
    resources: ResourceTable,
}

impl WasiView for Nothing {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

struct Codec {
    store: Store<Nothing>,
    world: WeirCodec,
}

impl Codec {
    fn new() -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, built(Layout::codec)?)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let nothing = Nothing {
            wasi: WasiCtx::builder().build(),
            resources: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, nothing);
        let world = WeirCodec::instantiate(&mut store, &component, &linker)?;
        Ok(Self { store, world })
    }

    /// What a receiver does, in the order it must: the plain body, or WeChat's number for what is wrong.
    fn open(&mut self, vector: &Value) -> Result<Result<Vec<u8>, i32>> {
        let text = |name: &str| vector[name].as_str().context("a text");
        let (token, encrypt) = (text("token")?, text("encrypt")?);
        let codec = self.world.weir_codec_codec();
        let right = codec.call_verify(
            &mut self.store,
            token,
            text("timestamp")?,
            text("nonce")?,
            Some(encrypt),
            text("msg_signature")?,
        )?;
        if !matches!(right, Ok(true)) {
            return Ok(Err(-40001));
        }
        let (key, appid) = (text("encodingAESKey")?, text("appid")?);
        let opened = codec.call_decrypt(&mut self.store, key, encrypt, appid)?;
        Ok(opened.map_err(|failure| failure.code))
    }
}

#[test]
fn every_envelope_of_the_vectors_is_verified_and_decrypted() -> Result<()> {
    let mut codec = Codec::new()?;
    let crypt = vectors("crypt.json")?;
    for vector in crypt["vectors"].as_array().context("a list")? {
        let opened = codec.open(vector)?;
        let expected = vector["plaintext"].as_str().context("a text")?;
        ensure!(
            opened.as_deref() == Ok(expected.as_bytes()),
            "{}",
            vector["id"]
        );
    }
    for vector in crypt["negative"].as_array().context("a list")? {
        let forged = vector["expect"] == "signature_mismatch";
        ensure!(
            (codec.open(vector)? == Err(-40001)) == forged,
            "{}",
            vector["id"]
        );
    }
    Ok(())
}

#[test]
fn every_push_of_the_vectors_is_read_with_its_types() -> Result<()> {
    let mut codec = Codec::new()?;
    let typed = vectors("typed.json")?;
    for (file, expected) in typed.as_object().context("an object")? {
        let body = std::fs::read(vectors_dir().join("callbacks").join(file))?;
        let world = codec.world.weir_codec_codec();
        let push = world.call_parse(&mut codec.store, &body)?;
        let push = push.map_err(|failure| wasmtime::format_err!("{file}: {}", failure.message))?;
        ensure!(
            serde_json::from_str::<Value>(&push.typed)? == *expected,
            "{file}"
        );
    }
    Ok(())
}

#[test]
fn a_reply_is_sealed_so_that_it_opens_again() -> Result<()> {
    let mut codec = Codec::new()?;
    let crypt = vectors("crypt.json")?;
    let mut vector = crypt["vectors"][0].clone();
    let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
    let world = codec.world.weir_codec_codec();
    let answer = Answer::Text("你好".into());
    let reply = world.call_reply(&mut codec.store, &answer, Format::Json, "o", "gh", 1)?;
    let (key, token, appid) = (text("encodingAESKey"), text("token"), text("appid"));
    let sealed = world.call_seal(
        &mut codec.store,
        &reply,
        Format::Json,
        &key,
        &token,
        &appid,
        1,
        "n",
        (1, 2),
    )?;
    let sealed: Value = serde_json::from_slice(&sealed.ok().context("sealed")?)?;
    vector["encrypt"] = sealed["Encrypt"].clone();
    vector["msg_signature"] = sealed["MsgSignature"].clone();
    (vector["timestamp"], vector["nonce"]) = ("1".into(), "n".into());
    ensure!(codec.open(&vector)? == Ok(reply));
    Ok(())
}

#[test]
fn whose_fault_it_is_is_told_with_the_number() -> Result<()> {
    let mut codec = Codec::new()?;
    let world = codec.world.weir_codec_codec();
    let refused = world.call_decrypt(&mut codec.store, "too short", "", "")?;
    let refused = refused.err().context("refused")?;
    assert!(matches!(refused.blame, Blame::Operator) && refused.code == -40004);
    let refused = world.call_parse(&mut codec.store, b"<xml>")?;
    let refused = refused.err().context("refused")?;
    assert!(matches!(refused.blame, Blame::Sender) && refused.code == -40002);
    Ok(())
}

/// The wheel that the test in Python takes, in this version.
const WHEEL: &str = "wasmtime==50.0.1";

#[test]
fn python_reads_and_writes_every_vector() -> Result<()> {
    if std::env::var("WEIR_WITHOUT_SDKS").is_ok_and(|value| value == "1") {
        return Ok(());
    }
    let layout = Layout::of_this_checkout();
    let venv = layout.target().join("python-component");
    let python = venv.join("bin/python");
    let run = |command: &mut Command| -> Result<Vec<u8>> {
        let output = command.output().context("Python")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {told}");
        Ok(output.stdout)
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", WHEEL]))?;
    let script = layout.root().join("component/tests/codec.py");
    let told = run(Command::new(&python)
        .arg(script)
        .arg(built(Layout::codec)?)
        .arg(vectors_dir()))?;
    let tried: Value = serde_json::from_slice(&told)?;
    let count = |file: &str, list: &str| -> Result<usize> {
        Ok(vectors(file)?[list].as_array().map_or(0, Vec::len))
    };
    assert_eq!(tried["pushes"], count("callbacks/index.json", "callbacks")?);
    assert_eq!(tried["replies"], count("replies.json", "replies")?);
    Ok(())
}
