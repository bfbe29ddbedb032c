"""Checks a request of ours: raw_body are its bytes as they came, before any parser; the other two are its headers
X-OpenEvent-Timestamp and X-OpenEvent-Signature."""

import hashlib
import hmac
import time


def verify(secret: str, timestamp: str, signature: str, raw_body: bytes) -> bool:
    if not abs(time.time() * 1000 - int(timestamp)) < 5 * 60 * 1000:
        return False
    signed = timestamp.encode() + b"." + raw_body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)
