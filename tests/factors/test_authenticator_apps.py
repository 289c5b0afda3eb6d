"""Our QR code, read by the rules of five authenticator apps (`docs/authenticator-apps.md` says where each is from)."""

from base64 import b32decode, b32encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.factors.totp import STEP_SECONDS, otpauth_uri

SECRET = bytes(range(20))
NAMES = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=30)
NOW = 1_700_000_000


@dataclass(frozen=True)
class Line:
    """What an app shows and counts with after scanning."""

    title: str
    account: str
    secret: bytes
    algorithm: str
    digits: int
    period: int

    @property
    def code(self) -> str:
        assert (self.algorithm, self.digits, self.period) == ("SHA1", 6, 30)
        return pyotp.TOTP(b32encode(self.secret).decode()).at(NOW)


def _parts(uri: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(uri)
    assert parts.scheme == "otpauth" and parts.netloc == "totp"
    assert "+" not in parts.query, "some apps show it"
    return unquote(parts.path[1:]), {name: values[0] for name, values in parse_qs(parts.query).items()}


def _base32(text: str) -> bytes:
    assert "=" not in text and text == text.upper(), "padding is to be left out"
    return b32decode(text + "=" * (-len(text) % 8))


def google(uri: str) -> Line:
    """Label `issuer:account`, of which neither holds a colon; the parameter has to say the same issuer."""
    label, given_ = _parts(uri)
    issuer, _, account = label.partition(":")
    assert issuer == given_["issuer"] and ":" not in account
    return Line(issuer, account.lstrip(" "), _base32(given_["secret"]), given_["algorithm"], int(given_["digits"]), 30)


def google_of_old(uri: str) -> Line:
    """Ignores the algorithm."""
    line = google(uri)
    return Line(line.title, line.account, line.secret, "SHA1", 6, 30)


def microsoft(uri: str) -> Line:
    """Ignores algorithm, digits and period."""
    return google_of_old(uri)


def authy(uri: str) -> Line:
    """Counts with SHA-1 whatever is said."""
    line = google(uri)
    return Line(line.title, line.account, line.secret, "SHA1", line.digits, line.period)


def andotp(uri: str) -> Line:
    """Shows what stands after the first colon of the label, up to the next one; takes every parameter at its word."""
    label, given_ = _parts(uri)
    account = label.split(":")[1] if ":" in label else label
    assert given_["algorithm"] in ("SHA1", "SHA256", "SHA512")
    return Line(
        given_["issuer"], account, _base32(given_["secret"]), given_["algorithm"], int(given_["digits"]),
        int(given_["period"]),
    )  # fmt: skip


def digidentity(uri: str) -> Line:
    """Says only that its codes change every 30 seconds: read with nothing but the defaults of RFC 6238."""
    line = google(uri)
    return Line(line.title, line.account, line.secret, "SHA1", 6, STEP_SECONDS)


APPS = (google, google_of_old, microsoft, authy, andotp, digidentity)


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_app_shows_issuer_and_username_and_counts_the_right_code(app: Callable[[str], Line]) -> None:
    line = app(otpauth_uri(SECRET, "Atosi", "j.jansen"))
    assert (line.title, line.account) == ("Atosi", "j.jansen")
    assert line.code == pyotp.TOTP(b32encode(SECRET).decode()).at(NOW)


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
@given(issuer=NAMES, username=NAMES)
def test_no_name_changes_the_key_or_moves_the_border(app: Callable[[str], Line], issuer: str, username: str) -> None:
    line = app(otpauth_uri(SECRET, issuer, username))
    assert line.secret == SECRET
    assert line.title == issuer.replace(":", " ") and line.account.strip() == username.replace(":", " ").strip()
