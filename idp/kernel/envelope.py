"""Secrets at rest: AES-256-GCM, bound to the place they are stored at, with the id of the key that sealed them.

    sealed = version (1 byte) | key id (8 bytes) | nonce (12 bytes) | ciphertext and tag

The associated data names table and row, so a sealed value copied into another row does not open there.
"""

import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idp.kernel.errors import IdpError
from idp.kernel.secrets import DerivedKeys

VERSION = b"\x01"
KEY_ID_BYTES = 8
NONCE_BYTES = 12


class CannotOpen(IdpError):
    """The sealed value was made with a key that is not configured, for another place, or was changed."""


class Envelope:
    """Seals with the present secret key; opens also what earlier ones sealed."""

    def __init__(self, secret_key: str, previous_secret_keys: Sequence[str] = ()) -> None:
        keys = [secret_key, *previous_secret_keys]
        self._ciphers = {_key_id(key): AESGCM(DerivedKeys(key).key("envelope")) for key in keys}
        self._current = _key_id(secret_key)

    def seal(self, plaintext: bytes, place: str) -> bytes:
        """The plaintext, readable only with the secret key and only for this `place` (`table:row`)."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + self._current + nonce + self._ciphers[self._current].encrypt(nonce, plaintext, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for this place. Raises CannotOpen otherwise."""
        key_id = sealed[1 : 1 + KEY_ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if sealed[:1] != VERSION or cipher is None:
            raise CannotOpen(f"no key {key_id.hex()} to open {place}")
        body = sealed[1 + KEY_ID_BYTES :]
        try:
            return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
            raise CannotOpen(f"{place} does not open with key {key_id.hex()}") from error


def _key_id(secret_key: str) -> bytes:
    return sha256(b"idp key id" + secret_key.encode()).digest()[:KEY_ID_BYTES]
