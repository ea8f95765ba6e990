"""The signature of a webhook: hex HMAC-SHA256 of the raw body (API reference, "Securing Webhooks")."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

SIGNATURE_HEADER = "X-PihuPulse-Signature"
_WELL_FORMED = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


def sign(body: bytes, secret: str) -> str:
    """Return the signature that PihuPulse sends with a raw body: 64 hexadecimal digits.

    >>> sign(b"Hello, World!", "It's a Secret to Everybody")
    '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return _digest(body, secret).hex()


def is_well_formed(signature: str) -> bool:
    """Return whether a header's value can be a signature at all."""
    return _WELL_FORMED.fullmatch(signature) is not None


def verify(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Return whether one of the secrets signed the raw body.

    Every secret is tried and each comparison takes the same time, so that the time taken tells nothing.
    An empty secret signs nothing.
    """
    if not is_well_formed(signature):
        return False
    given = bytes.fromhex(signature)
    matches = [hmac.compare_digest(_digest(body, secret), given) for secret in secrets if secret]
    return any(matches)


def _digest(body: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), body, "sha256")
