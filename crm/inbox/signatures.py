"""Who sent this? Signatures over the raw bytes of a webhook, compared in constant time."""

import hashlib
import hmac
import json


def meta_signature(body: bytes, app_secret: str) -> str:
    """Return what Meta sends as `X-Hub-Signature-256` with a body: HMAC-SHA-256 under the app's secret."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def is_from_meta(body: bytes, signature: str | None, app_secret: str) -> bool:
    """Tell whether a body carries Meta's signature. It says nothing about when: a replay carries it too."""
    return bool(signature) and same(str(signature), meta_signature(body, app_secret))


def is_from_google(body: bytes, google_key: str) -> bool:
    """Tell whether a body carries the secret that was agreed with Google; it travels inside the body."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return False
    key = sent.get("google_key") if isinstance(sent, dict) else None
    return isinstance(key, str) and same(key, google_key)


def same(one: str, other: str) -> bool:
    """Compare two secrets without telling by the time taken where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
