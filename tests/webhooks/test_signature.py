"""The signature is the reference's: hex HMAC-SHA256 of the raw body."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pihupulse_provider.webhooks import sign, verify

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
NODE = """
const crypto = require('crypto');
const hmac = crypto.createHmac('sha256', process.argv[1]);
process.stdout.write(hmac.update(Buffer.from(process.argv[2], 'hex')).digest('hex'));
"""


def test_the_known_answer():
    assert sign(BODY, SECRET) == SIGNATURE


@pytest.mark.parametrize("text", ["", "{}", '{"name": "Zoë Müller-Łuk, 张伟 🙂"}', "\r\n\t", "\x00\x01"])
def test_it_is_what_the_reference_computes_in_node(text: str):
    node = shutil.which("node")
    if node is None:
        pytest.fail("Node is needed to sign as the API reference's example does.")
    body = text.encode()
    said = subprocess.run([node, "-e", NODE, SECRET, body.hex()], check=True, capture_output=True, text=True)
    assert said.stdout == sign(body, SECRET)


def test_any_of_several_secrets_counts():
    assert verify(BODY, SIGNATURE, ["new", SECRET])
    assert verify(BODY, SIGNATURE, [SECRET, "old"])
    assert not verify(BODY, SIGNATURE, ["new", "old"])


def test_upper_case_digits_are_the_same_bytes():
    assert verify(BODY, SIGNATURE.upper(), [SECRET])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        SIGNATURE[:-1],
        SIGNATURE + "0",
        SIGNATURE[:-2],
        " " + SIGNATURE,
        SIGNATURE + "\n",
        "sha256=" + SIGNATURE,
        "g" + SIGNATURE[1:],
        "\uff17" + SIGNATURE[1:],
        SIGNATURE[:32] + " " * 2 + SIGNATURE[34:],
        "é" * 64,
        "0" * 64,
    ],
)
def test_anything_else_is_refused(signature: str):
    assert not verify(BODY, signature, [SECRET])


def test_without_a_secret_nothing_is_signed():
    assert not verify(BODY, sign(BODY, ""), [""])
    assert not verify(BODY, SIGNATURE, [])


@pytest.mark.parametrize("body", [BODY + b" ", BODY.lower(), b"", BODY[:-1]])
def test_a_changed_body_is_refused(body: bytes):
    assert not verify(body, SIGNATURE, [SECRET])
