"""Passwords: the same work for every account, a bounded number of hashes at once, and rules for new ones."""

import re
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest
from argon2 import PasswordHasher

from idp.accounts.passwords import (
    CONTAINS_NAME,
    LONGEST_BYTES,
    NOT_TEXT,
    TOO_COMMON,
    TOO_LONG,
    TOO_SHORT,
    Passwords,
    Verification,
    read_common_passwords,
)
from idp.kernel.errors import Throttled
from idp.settings import PasswordSettings

LIGHT = PasswordSettings(time_cost=1, memory_kib=8, concurrency=4, queue=20)
RIGHT = "een paard op het dak"
YES = Verification(matches=True, needs_rehash=False)
NO = Verification(matches=False, needs_rehash=False)


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(LIGHT)


@contextmanager
def calls(passwords: Passwords) -> Iterator[list[int]]:
    """How many hashes were computed inside the block, as its only item afterwards."""
    before, spent = passwords.hash_calls, list[int]()
    yield spent
    spent.append(passwords.hash_calls - before)


# --- Hashing and verifying


def test_hash_is_argon2id_with_the_parameters_of_the_settings_and_a_salt_of_its_own() -> None:
    passwords = Passwords(PasswordSettings())
    first, second = passwords.hash(RIGHT), passwords.hash(RIGHT)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert passwords.verify(RIGHT, first) == YES


def test_right_password_matches_and_another_does_not(passwords: Passwords) -> None:
    stored = passwords.hash(RIGHT)
    assert passwords.verify(RIGHT, stored) == YES
    assert passwords.verify(RIGHT.upper(), stored) == NO
    assert passwords.verify(RIGHT + " ", stored) == NO
    assert passwords.verify("", stored) == NO


def test_composed_and_decomposed_spelling_are_one_password(passwords: Passwords) -> None:
    typed = "café met überfiets"
    stored = passwords.hash(unicodedata.normalize("NFD", typed))
    assert passwords.verify(unicodedata.normalize("NFC", typed), stored) == YES


def test_compatibility_forms_stay_different_passwords(passwords: Passwords) -> None:
    assert passwords.verify("fiets", passwords.hash("ﬁets")) == NO


def test_hash_with_other_parameters_matches_and_asks_for_a_new_one(passwords: Passwords) -> None:
    older = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(RIGHT)
    assert passwords.verify(RIGHT, older) == Verification(matches=True, needs_rehash=True)
    assert passwords.verify("wrong", older) == NO


def test_each_verification_costs_one_hash_whether_the_account_exists_or_not(passwords: Passwords) -> None:
    stored = passwords.hash(RIGHT)
    broken = stored[:-3] + "!!!"
    foreign = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
    too_long = "x" * (LONGEST_BYTES + 1)
    for password, stored_hash, answer in (
        (RIGHT, stored, YES),
        ("wrong", stored, NO),
        (RIGHT, None, NO),
        (RIGHT, broken, NO),
        (RIGHT, foreign, NO),
        (RIGHT, "", NO),
        (too_long, stored, NO),
        (too_long, None, NO),
        ("\ud800", stored, NO),
    ):
        with calls(passwords) as spent:
            assert passwords.verify(password, stored_hash) == answer
        assert spent == [1], f"{password[:20]!r} against {stored_hash!r}"


def test_dummy_hash_has_the_parameters_of_the_settings() -> None:
    passwords = Passwords(PasswordSettings(time_cost=3, memory_kib=64))
    measured = PasswordHasher(time_cost=3, memory_cost=64, parallelism=1)
    assert not measured.check_needs_rehash(passwords._dummy)
    assert passwords._dummy != Passwords(PasswordSettings(time_cost=3, memory_kib=64))._dummy


def test_longest_password_is_accepted_and_one_byte_more_refused(passwords: Passwords) -> None:
    longest = "é" * (LONGEST_BYTES // 2)
    assert passwords.verify(longest, passwords.hash(longest)) == YES
    with calls(passwords) as spent, pytest.raises(ValueError, match="at most 1024 bytes"):
        passwords.hash(longest + "x")
    assert spent == [0]


@pytest.mark.parametrize("password", ["hunter2" * 200, "hunter2\ud800"])
def test_refused_password_is_in_no_exception(passwords: Passwords, password: str) -> None:
    with pytest.raises(ValueError, match="must be text") as caught:
        passwords.hash(password)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error.args} {vars(error)}"
        error = error.__context__


# --- A bounded number of them


class SlowPasswords(Passwords):
    """The real service with a gate before each computation, so that a test decides when work goes on."""

    def __init__(self, settings: PasswordSettings) -> None:
        self.open = Event()
        super().__init__(settings)
        self.working = 0
        self.most_at_once = 0

    def _compare(self, stored_hash: str, octets: bytes) -> bool | None:
        with self._counting:
            self.working += 1
            self.most_at_once = max(self.most_at_once, self.working)
        self.open.wait(timeout=20)
        try:
            return super()._compare(stored_hash, octets)
        finally:
            with self._counting:
                self.working -= 1


def test_more_than_working_and_waiting_places_are_turned_away_at_once_and_the_rest_is_served() -> None:
    settings = PasswordSettings(time_cost=1, memory_kib=8, concurrency=2, queue=3)
    passwords = SlowPasswords(settings)
    stored = passwords.hash(RIGHT)
    started = Barrier(9)
    answers: list[Verification] = []
    turned_away: list[Throttled] = []
    all_refusals = Event()

    def sign_in() -> None:
        started.wait(timeout=20)
        try:
            answers.append(passwords.verify(RIGHT, stored))
        except Throttled as error:
            turned_away.append(error)
            if len(turned_away) == 4:
                all_refusals.set()

    threads = [Thread(target=sign_in) for _ in range(9)]
    for thread in threads:
        thread.start()
    # Nothing is computed yet: whoever is turned away did not wait for anybody.
    assert all_refusals.wait(timeout=20)
    assert answers == []
    passwords.open.set()
    for thread in threads:
        thread.join(timeout=20)
    assert answers == [YES] * 5
    assert len(turned_away) == 4
    assert passwords.most_at_once == 2
    assert {(error.retry_after, error.message_key) for error in turned_away} == {(timedelta(seconds=2), "error.busy")}
    assert passwords.verify(RIGHT, stored) == YES


def test_place_is_given_back_after_every_kind_of_answer() -> None:
    passwords = Passwords(PasswordSettings(time_cost=1, memory_kib=8, concurrency=1, queue=0))
    stored = passwords.hash(RIGHT)
    for _ in range(3):
        assert passwords.verify(RIGHT, stored) == YES
        assert passwords.verify("wrong", None) == NO
        with pytest.raises(ValueError, match="must be text"):
            passwords.hash("x" * 2000)


def test_count_of_hashes_is_exact_over_threads(passwords: Passwords) -> None:
    with calls(passwords) as spent, ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda number: passwords.verify(f"wrong {number}", None), range(200)))
    assert spent == [200]


# --- New passwords


@pytest.mark.parametrize(
    ("password", "stands_alone", "problems"),
    [
        ("x7!kqPzw4vRt9b", True, [TOO_SHORT]),
        ("x7!kqPzw4vRt9bc", True, []),
        ("x7!kqPz", False, [TOO_SHORT]),
        ("x7!kqPzw", False, []),
        ("alleen kleine letters", True, []),
        ("482 917 365 028 174", True, []),
        ("🐴🔋🧷🏠🚲🌧️🧀🛶🎻🥁🧭🪁🧦🫖🪴", True, []),
        ("e\u0301" * 8, False, []),
        ("e\u0301" * 7, False, [TOO_SHORT]),
        ("", False, [TOO_SHORT]),
        ("x" * (LONGEST_BYTES + 1), True, [TOO_LONG]),
        ("é" * 600, True, [TOO_LONG]),
        ("x7!kqPzw4vRt9bc\ud800", True, [NOT_TEXT]),
    ],
)
def test_new_password_is_judged_by_length_in_code_points_only(
    passwords: Passwords, password: str, stands_alone: bool, problems: list[str]
) -> None:
    assert passwords.check_new(password, stands_alone=stands_alone, context_words=["anna"]) == problems


@pytest.mark.parametrize(
    "password",
    [
        "Welkom2026",
        "WACHTWOORD123",
        "geheim2025!",
        "Zomer2024!",
        "herfst-2025",
        "december2026",
        "Password123",
        "qwertyuiop",
    ],
)
def test_common_password_is_refused_whatever_its_capitals(passwords: Passwords, password: str) -> None:
    assert passwords.check_new(password, stands_alone=False, context_words=[]) == [TOO_COMMON]


def test_long_common_password_is_refused_where_it_stands_alone(passwords: Passwords) -> None:
    assert passwords.check_new("Ditismijnwachtwoord", stands_alone=True, context_words=[]) == [TOO_COMMON]


def test_common_word_inside_a_longer_password_is_allowed(passwords: Passwords) -> None:
    assert passwords.check_new("welkom2026 bij de blauwe geit", stands_alone=True, context_words=[]) == []


@pytest.mark.parametrize(
    "password", ["anna.dewit2026!", "AnnaDeWit10234", "dewit-voorbeeld-1", "Inloggen-anna-12", "annaannaannaanna"]
)
def test_password_made_of_the_persons_own_words_is_refused(passwords: Passwords, password: str) -> None:
    words = ["anna", "Anna de Wit", "dewit", "anna@voorbeeld.nl", "10234", "Inloggen"]
    assert CONTAINS_NAME in passwords.check_new(password, stands_alone=False, context_words=words)


def test_sentence_that_mentions_a_name_is_allowed(passwords: Passwords) -> None:
    words = ["anna", "Anna de Wit", "10234", "Inloggen"]
    assert passwords.check_new("tante anna blaft naar de postbode", stands_alone=True, context_words=words) == []


def test_empty_and_tiny_context_words_forbid_nothing(passwords: Passwords) -> None:
    assert passwords.check_new("x7!kqPzw", stands_alone=False, context_words=["", "x", "k7", "-"]) == []


def test_short_common_name_yields_all_its_problems_at_once(passwords: Passwords) -> None:
    found = passwords.check_new("geheim", stands_alone=False, context_words=["geheim"])
    assert found == [TOO_SHORT, TOO_COMMON, CONTAINS_NAME]


def test_common_list_is_long_in_small_letters_and_without_doubles() -> None:
    common = read_common_passwords()
    assert len(common) >= 500
    assert {word for word in common if word != word.casefold() or word != word.strip()} == set()
    assert {"welkom01", "wachtwoord", "geheim123", "zomer2026", "welkom2026!"} <= common
    assert not any(re.match("#:", word) for word in common)


def test_common_list_may_be_another_one() -> None:
    passwords = Passwords(LIGHT, common=["Gemeente Voorbeeld"])
    assert passwords.check_new("gemeente voorbeeld", stands_alone=True, context_words=[]) == [TOO_COMMON]
    assert passwords.check_new("wachtwoord123", stands_alone=False, context_words=[]) == []
