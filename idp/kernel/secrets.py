"""Random tokens, hashes of stored secrets, derived keys and constant-time comparison.

High-entropy secrets (tokens, client secrets, cookies) are stored as SHA-256: guessing them is hopeless, so a slow hash
would only cost time. Low-entropy values (usernames in counters) are keyed with HMAC so that a copy of the
database does not give them away.
"""

import hashlib
import hmac
import secrets as _random
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN_BYTES = 32
IDENTIFIER_BYTES = 16
SHORT_CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def random_token() -> str:
    """256 random bits, base64url, 43 characters."""
    return _random.token_urlsafe(TOKEN_BYTES)


def random_identifier() -> str:
    """128 random bits, base64url, 22 characters: unguessable, but not a secret that is stored hashed."""
    return _random.token_urlsafe(IDENTIFIER_BYTES)


def random_request_code() -> str:
    """Six characters that a person can read out on the phone, as in `K7QM-3F`; 30 bits."""
    letters = "".join(_random.choice(SHORT_CODE_ALPHABET) for _ in range(6))
    return f"{letters[:4]}-{letters[4:]}"


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret with full entropy: what the database keeps of it (32 bytes)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def is_same(left: bytes | str, right: bytes | str) -> bool:
    """True when both are equal, in time that does not tell how far they agree."""
    left_bytes = left.encode("utf-8", "surrogatepass") if isinstance(left, str) else left
    right_bytes = right.encode("utf-8", "surrogatepass") if isinstance(right, str) else right
    return hmac.compare_digest(left_bytes, right_bytes)


class DerivedKeys:
    """Keys for one purpose each, derived from the secret key of the installation (HKDF, RFC 5869)."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()
        self._known: dict[str, bytes] = {}

    def key(self, purpose: str) -> bytes:
        """The 256-bit key of this purpose; two purposes never share one."""
        if purpose not in self._known:
            derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"idp:{purpose}".encode())
            self._known[purpose] = derived.derive(self._secret)
        return self._known[purpose]

    def mac(self, purpose: str, *parts: str) -> bytes:
        """HMAC-SHA256 over the parts, unambiguous whatever they contain; 32 bytes."""
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.digest(self.key(purpose), message, "sha256")

    def mac_text(self, purpose: str, *parts: str) -> str:
        """`mac` as base64url without padding, 43 characters."""
        return urlsafe_b64encode(self.mac(purpose, *parts)).rstrip(b"=").decode()
