"""The codec component from Python: the vectors that the crate `protocol` is tested with, all of them.

Called with the component and the directory of the vectors. Prints how much it has tried as JSON; fails at the first thing that is
wrong.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record, Variant

CLASSES = {
    "signature_mismatch": -40001,
    "bad_aes_key": -40004,
    "appid_mismatch": -40005,
    "bad_padding": -40007,
    "bad_ciphertext_length": -40007,
    "illegal_buffer": -40008,
    "bad_base64": -40010,
    "payload_parse_error": -40002,
}


class Refused(Exception):
    """What the codec says no to, by WeChat's number."""


class Codec:
    def __init__(self, path):
        engine = Engine()
        linker = Linker(engine)
        linker.add_wasip2()
        self.store = Store(engine)
        self.store.set_wasi(WasiConfig())
        instance = linker.instantiate(self.store, Component.from_file(engine, path))
        interface = instance.get_export_index(self.store, "weir:codec/codec@0.1.0")
        names = ["verify", "open", "decrypt", "parse", "reply", "seal"]
        self.functions = {
            name: instance.get_func(
                self.store, instance.get_export_index(self.store, name, interface)
            )
            for name in names
        }

    def __getattr__(self, name):
        function = self.functions[name]

        def call(*arguments):
            result = function(self.store, *arguments)
            function.post_return(self.store)
            if isinstance(result, Variant) and result.tag in ("ok", "err"):
                if result.tag == "err":
                    raise Refused(result.payload.code)
                return result.payload
            if isinstance(result, Record) and hasattr(result, "blame"):
                raise Refused(result.code)
            return result

        return call


def record(**fields):
    made = Record()
    made.__dict__.update({name.replace("_", "-"): value for name, value in fields.items()})
    return made


def verified(codec, vector, signature):
    token = vector["token"]
    stamp = (token, vector["timestamp"], vector["nonce"])
    try:
        return codec.verify(*stamp, vector.get("encrypt"), signature)
    except Refused as refused:
        # Some are of tokens that WeChat does not let one choose.
        usable = 3 <= len(token) <= 32 and token.isascii() and token.isalnum()
        assert refused.args == (-40003,) and not usable, vector["id"]
        return "signature" in vector


def opened(codec, vector):
    """What a receiver does, in the order it must; a class of error, or the plain body."""
    stamp = (vector["token"], vector["timestamp"], vector["nonce"])
    try:
        if not codec.verify(*stamp, vector["encrypt"], vector["msg_signature"]):
            return -40001
        return codec.decrypt(vector["encodingAESKey"], vector["encrypt"], vector["appid"])
    except Refused as refused:
        return refused.args[0]


def refusal(function, *arguments):
    """The number with which a call is refused; none when it is not."""
    try:
        function(*arguments)
    except Refused as refused:
        return refused.args[0]
    return None


def answer(vector):
    kind, given = vector["type"], vector["input"]
    if kind == "text":
        return Variant("text", given["content"])
    if kind in ("image", "voice"):
        return Variant(kind, given["media_id"])
    if kind == "video":
        fields = {name: given.get(name) for name in ("title", "description")}
        return Variant("video", record(media_id=given["media_id"], **fields))
    if kind == "music":
        names = ("title", "description", "music_url", "hq_music_url", "thumb_media_id")
        return Variant("music", record(**{name: given.get(name) for name in names}))
    if kind == "news":
        articles = [
            record(
                title=article["title"],
                description=article["description"],
                pic_url=article["image"],
                url=article["url"],
            )
            for article in given["articles"]
        ]
        return Variant("news", articles)
    return Variant("transfer-customer-service", given.get("kf_account"))


def fields_of(element):
    """What someone else's XML parser reads, in the notation of the vectors."""
    if len(element) == 0:
        return element.text or ""
    fields = {}
    for child in element:
        value = fields_of(child)
        if child.tag in fields:
            before = fields[child.tag]
            fields[child.tag] = [*(before if isinstance(before, list) else [before]), value]
        else:
            fields[child.tag] = value
    return fields


def main():
    codec = Codec(sys.argv[1])
    vectors = pathlib.Path(sys.argv[2])
    load = lambda name: json.loads((vectors / name).read_text("utf-8"))
    tried = {}

    signatures = load("signature.json")
    for vector in signatures["vectors"]:
        assert verified(codec, vector, vector["signature"]), vector["id"]
    for vector in signatures["negative"]:
        assert not verified(codec, vector, vector["given_signature"]), vector["id"]
    tried["signatures"] = len(signatures["vectors"]) + len(signatures["negative"])

    crypt = load("crypt.json")
    for vector in crypt["vectors"]:
        assert bytes(opened(codec, vector)) == vector["plaintext"].encode(), vector["id"]
    for vector in crypt["negative"]:
        found = opened(codec, vector)
        if vector["expect"] == "ok":
            assert bytes(found) == vector["plaintext"].encode(), vector["id"]
            continue
        if not isinstance(found, int):
            found = refusal(codec.parse, found)
        expected = [CLASSES[name] for name in vector["expect"].split("|")]
        assert found in expected, (vector["id"], found)
    for vector in crypt["bad_keys"]:
        code = refusal(codec.decrypt, vector["encodingAESKey"], "", "wx0123456789abcdef")
        assert code == -40004, vector["id"]
    tried["envelopes"] = len(crypt["vectors"]) + len(crypt["negative"])

    pushes = load("callbacks/index.json")
    typed = load("typed.json")
    for vector in pushes["callbacks"]:
        body = (vectors / "callbacks" / vector["file"]).read_bytes()
        push = codec.parse(body)
        assert json.loads(push.typed) == typed[vector["file"]], vector["file"]
    tried["pushes"] = len(pushes["callbacks"])

    replies = load("replies.json")
    for vector in replies["replies"]:
        given = vector["input"]
        body = codec.reply(
            answer(vector), "xml", given["to_user"], given["from_user"], given["create_time"]
        )
        read = fields_of(ElementTree.fromstring(bytes(body)))
        assert read == vector["expect_fields"], (vector["id"], read)
    tried["replies"] = len(replies["replies"])

    vector = crypt["vectors"][0]
    sealed = codec.seal(
        b"sealed and opened again",
        "json",
        vector["encodingAESKey"],
        vector["token"],
        vector["appid"],
        1_714_112_446,
        "415670741",
        (1, 2),
    )
    outside = json.loads(bytes(sealed))
    again = {
        **vector,
        "encrypt": codec.open(sealed).encrypt,
        "timestamp": str(outside["TimeStamp"]),
        "nonce": outside["Nonce"],
        "msg_signature": outside["MsgSignature"],
    }
    assert bytes(opened(codec, again)) == b"sealed and opened again"
    print(json.dumps(tried))


main()
