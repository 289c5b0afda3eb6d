"""Secrets at rest: opened only with the key, only in the place they were sealed for, and only unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.envelope import KEY_ID_BYTES, NONCE_BYTES, CannotOpen, Envelope

KEY = "the first secret key of this installation 0123"
OTHER_KEY = "another secret key of this installation 4567"
PLACE = "credentials:1"


@given(secret=st.binary(max_size=300))
def test_what_is_sealed_opens_again(secret: bytes) -> None:
    envelope = Envelope(KEY)
    sealed = envelope.seal(secret, PLACE)
    assert envelope.open(sealed, PLACE) == secret
    assert len(sealed) == 1 + KEY_ID_BYTES + NONCE_BYTES + len(secret) + 16
    assert len(secret) < 4 or secret not in sealed


def test_same_secret_is_sealed_differently_each_time() -> None:
    envelope = Envelope(KEY)
    assert len({envelope.seal(b"secret", PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize("place", ["credentials:2", "credentials:1 ", "signing_keys:1", ""])
def test_copied_into_another_row_it_does_not_open(place: str) -> None:
    envelope = Envelope(KEY)
    with pytest.raises(CannotOpen):
        envelope.open(envelope.seal(b"secret", PLACE), place)


def test_changed_anywhere_it_does_not_open() -> None:
    envelope = Envelope(KEY)
    sealed = envelope.seal(b"secret", PLACE)
    for position in range(len(sealed)):
        changed = sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]
        with pytest.raises(CannotOpen):
            envelope.open(changed, PLACE)


@pytest.mark.parametrize("length", [0, 1, 9, 20, 21, 36])
def test_cut_short_it_does_not_open(length: int) -> None:
    envelope = Envelope(KEY)
    with pytest.raises(CannotOpen):
        envelope.open(envelope.seal(b"secret", PLACE)[:length], PLACE)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(CannotOpen):
        Envelope(OTHER_KEY).open(Envelope(KEY).seal(b"secret", PLACE), PLACE)


def test_earlier_key_still_opens_and_the_present_one_seals() -> None:
    old, both = Envelope(KEY), Envelope(OTHER_KEY, [KEY])
    assert both.open(old.seal(b"secret", PLACE), PLACE) == b"secret"
    sealed_now = both.seal(b"secret", PLACE)
    assert Envelope(OTHER_KEY).open(sealed_now, PLACE) == b"secret"
    with pytest.raises(CannotOpen):
        old.open(sealed_now, PLACE)


def test_error_names_the_place_and_nothing_of_the_secret() -> None:
    sealed = Envelope(KEY).seal(b"very secret", PLACE)
    with pytest.raises(CannotOpen) as raised:
        Envelope(OTHER_KEY).open(sealed, PLACE)
    assert PLACE in raised.value.detail
    assert "very secret" not in raised.value.detail and KEY not in raised.value.detail
