"""Random tokens, hashes, derived keys and comparison."""

import re
from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.secrets import (
    SHORT_CODE_ALPHABET,
    DerivedKeys,
    hash_secret,
    is_same,
    random_identifier,
    random_request_code,
    random_token,
)

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def test_tokens_and_identifiers_have_their_bits_and_never_repeat() -> None:
    tokens, identifiers = ({make() for _ in range(1000)} for make in (random_token, random_identifier))
    assert len(tokens) == len(identifiers) == 1000
    assert {len(urlsafe_b64decode(token + "==")) for token in tokens} == {32}
    assert {len(urlsafe_b64decode(each + "==")) for each in identifiers} == {16}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", each) for each in tokens | identifiers)


def test_request_code_can_be_read_out_on_the_phone() -> None:
    codes = {random_request_code() for _ in range(1000)}
    assert len(codes) > 990
    assert all(re.fullmatch(rf"[{SHORT_CODE_ALPHABET}]{{4}}-[{SHORT_CODE_ALPHABET}]{{2}}", code) for code in codes)
    assert not set("01IO") & set(SHORT_CODE_ALPHABET)


def test_hash_of_a_secret_is_sha_256() -> None:
    assert hash_secret("secret") == sha256(b"secret").digest()
    assert len(hash_secret("")) == 32


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\u2603\U0001f511"])
def test_any_text_can_be_hashed_and_compared(odd: str) -> None:
    assert len(hash_secret(odd)) == 32
    assert is_same(odd, odd)
    assert not is_same(odd, odd + "x")


@given(left=st.text(), right=st.text())
def test_comparison_agrees_with_equality(left: str, right: str) -> None:
    assert is_same(left, left)
    assert is_same(left, right) == (left == right)


def test_text_and_its_bytes_are_the_same() -> None:
    assert is_same("caf\u00e9", "caf\u00e9".encode())
    assert not is_same(b"", b"\x00")


def test_each_purpose_has_a_key_of_its_own_that_stays() -> None:
    keys = DerivedKeys("the secret key of this installation, 0123456789")
    assert keys.key("csrf") == keys.key("csrf")
    assert len({keys.key(purpose) for purpose in ("csrf", "envelope", "refresh_token", "attempts")}) == 4
    assert len(keys.key("csrf")) == 32
    assert keys.key("csrf") == DerivedKeys("the secret key of this installation, 0123456789").key("csrf")
    assert keys.key("csrf") != DerivedKeys("the secret key of another installation, 987654321").key("csrf")


@given(parts=st.lists(TEXTS, max_size=4), others=st.lists(TEXTS, max_size=4))
def test_mac_tells_apart_whatever_differs(parts: list[str], others: list[str]) -> None:
    keys = DerivedKeys("the secret key of this installation, 0123456789")
    assert (keys.mac("purpose", *parts) == keys.mac("purpose", *others)) == (parts == others)


def test_mac_cannot_be_shifted_from_one_part_into_another() -> None:
    keys = DerivedKeys("the secret key of this installation, 0123456789")
    same_letters = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]
    assert len({keys.mac("purpose", *parts) for parts in same_letters}) == len(same_letters)


def test_mac_as_text_is_43_characters_that_fit_into_a_url() -> None:
    text = DerivedKeys("the secret key of this installation, 0123456789").mac_text("purpose", "part")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", text)
