"""The authenticator app: RFC 6238 as six digits, each step accepted once for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.factors.base import Enrolment, Verdict
from idp.factors.models import Credential
from idp.factors.totp import Totp, key_groups, key_text, matching_step, otpauth_uri
from idp.wiring import Services
from tests.factories import Factories, Somebody

TOTP = Totp()
STEP = timedelta(seconds=30)
TICK = timedelta(microseconds=1)
RFC_SECRET = b"12345678901234567890"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def code_of(secret: bytes, step: int) -> str:
    return pyotp.TOTP(key_text(secret)).generate_otp(step)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_vectors_of_rfc_6238_appendix_b_for_sha_1_cut_to_six_digits_are_accepted(seconds: int, code: str) -> None:
    assert matching_step(RFC_SECRET, code, at(seconds)) == seconds // 30
    assert TOTP.verify_enrolment(Enrolment(RFC_SECRET), code, at(seconds)) == (Verdict.RIGHT, seconds // 30)


STEPS = st.integers(40_000_000, 90_000_000)


@given(st.binary(min_size=20, max_size=20), STEPS, st.integers(-3, 3), st.floats(0, 29.999))
def test_code_is_accepted_one_step_either_side_and_no_further(
    secret: bytes, present: int, distance: int, within: float
) -> None:
    now = at(present * 30 + within)
    code = code_of(secret, present + distance)
    neighbours = {code_of(secret, present + near): present + near for near in (-1, 0, 1)}
    found = matching_step(secret, code, now)
    if abs(distance) <= 1 or code in neighbours:
        assert found is not None and code_of(secret, found) == code
    else:
        assert found is None


def test_code_stops_at_the_boundary_of_its_last_step() -> None:
    step = 60_000_000
    code = code_of(RFC_SECRET, step)
    last_moment = at((step + 2) * 30) - TICK
    assert matching_step(RFC_SECRET, code, last_moment) == step
    assert matching_step(RFC_SECRET, code, last_moment + TICK) is None
    first_moment = at((step - 1) * 30)
    assert matching_step(RFC_SECRET, code, first_moment) == step
    assert matching_step(RFC_SECRET, code, first_moment - TICK) is None


def test_wrong_code_is_wrong() -> None:
    right = code_of(RFC_SECRET, 100)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    assert TOTP.verify(Credential(last_step=None), RFC_SECRET, wrong, at(3000)) == (Verdict.WRONG, None)


def test_code_is_read_with_its_separators() -> None:
    right = code_of(RFC_SECRET, 100)
    typed = f" {right[:3]} {right[3:]}"
    assert TOTP.verify(Credential(last_step=None), RFC_SECRET, typed, at(3000)) == (Verdict.RIGHT, 100)


@pytest.mark.parametrize(
    ("last_step", "verdict"), [(None, "right"), (98, "right"), (99, "used"), (100, "used"), (101, "used")]
)
def test_step_at_or_before_the_last_accepted_one_is_used_up(last_step: int | None, verdict: str) -> None:
    code = code_of(RFC_SECRET, 99)
    found, step = TOTP.verify(Credential(last_step=last_step), RFC_SECRET, code, at(3000))
    assert (found, step) == (Verdict(verdict), 99)


def test_secret_of_an_enrolment_has_160_bits_and_is_new_each_time() -> None:
    secrets = {TOTP.begin_enrolment().secret for _ in range(50)}
    assert len(secrets) == 50 and {len(secret) for secret in secrets} == {20}


def test_key_is_32_letters_that_people_can_type_in_groups_of_four() -> None:
    assert key_text(RFC_SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert key_groups(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_otpauth_uri_says_what_every_app_reads() -> None:
    uri = otpauth_uri(RFC_SECRET, "Atosi", "anna")
    assert uri == (
        "otpauth://totp/Atosi:anna?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Atosi&algorithm=SHA1&digits=6&period=30"
    )


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_otpauth_uri_of_any_names_can_be_read_back(issuer_name: str, username: str) -> None:
    uri = otpauth_uri(RFC_SECRET, issuer_name, username)
    assert uri.isascii() and "+" not in uri and " " not in uri
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    issuer, _, account = unquote(parts.path.removeprefix("/")).partition(":")
    assert ":" not in account
    assert (issuer, account) == (issuer_name.replace(":", " "), username.replace(":", " "))
    assert parse_qs(parts.query)["issuer"] == [issuer]


def test_uri_is_understood_by_a_library_that_apps_are_made_with() -> None:
    read = pyotp.parse_uri(otpauth_uri(RFC_SECRET, "De Linde", "anna@linde"))
    assert isinstance(read, pyotp.TOTP)
    assert (read.issuer, read.name, read.interval, read.digits) == ("De Linde", "anna@linde", 30, 6)
    assert read.at(at(59)) == "287082"


# `use` in the database


@contextmanager
def credential_of(services: Services, somebody: Somebody) -> Iterator[Credential]:
    with services.units.reading() as unit:
        credential = unit.query(Credential).filter_by(account_id=somebody.id).one()
    yield credential


def use(services: Services, credential: Credential, step: int) -> bool:
    with services.units.writing() as unit:
        return TOTP.use(unit, credential, step, services.clock.now())


def test_each_step_is_used_once_and_older_ones_never_after_newer(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    with credential_of(services, anna) as credential:
        accepted = [use(services, credential, step) for step in (100, 100, 99, 102, 101, 102, 103)]
    assert accepted == [True, False, False, True, False, False, True]
    with credential_of(services, anna) as credential:
        assert (credential.last_step, credential.last_used_at) == (103, services.clock.now())


@pytest.mark.parametrize("column", ["disabled_at", "withdrawn_at"])
def test_credential_that_went_out_of_force_meanwhile_cannot_be_used(
    services: Services, make: Factories, column: str
) -> None:
    anna = make.person(totp=True)
    with credential_of(services, anna) as credential:
        with services.units.writing() as unit:
            setattr(unit.merge(credential), column, services.clock.now())
        assert not use(services, credential, 100)


def test_step_that_one_person_used_is_free_for_another(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    bram = make.account(make.organization("20000"), "bram", "20000", totp=True)
    with credential_of(services, anna) as annas, credential_of(services, bram) as brams:
        assert use(services, annas, 100) and use(services, brams, 100)
