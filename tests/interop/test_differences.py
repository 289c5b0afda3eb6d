"""The same requests to npm's oidc-provider and to ours: what differs is known, with the clause that decides."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.interop.differential import both, document
from tests.interop.differential.known import KNOWN, MOST
from tests.interop.differential.normal_form import differing
from tests.interop.differential.questions import QUESTIONS

Found = tuple[str, str, str, str]


def found(question: str, aspect: str, theirs: Any, ours: Any) -> Found:
    """As JSON, in which values of both kinds can be compared."""
    return question, aspect, json.dumps(theirs), json.dumps(ours)


EXPECTED: frozenset[Found] = frozenset(
    found(question, seen.aspect, seen.theirs, seen.ours)
    for difference in KNOWN
    for seen in difference.seen
    for question in seen.questions
)


def test_answers_of_both_are_the_same_but_for_the_differences_that_are_known(database_url: str, tmp_path: Path) -> None:
    happened: set[Found] = set()
    with both.running(database_url, tmp_path) as (ours, theirs):
        for question in QUESTIONS:
            pairs = differing(question.ask(theirs), question.ask(ours)).items()
            happened |= {found(question.name, aspect, *pair) for aspect, pair in pairs}
    # In one list, so that a value that changed stands with what it was before.
    wrong = [("unknown", *each) for each in happened - EXPECTED] + [("gone", *each) for each in EXPECTED - happened]
    assert not wrong, "\n".join(" ".join(each) for each in sorted(wrong, key=lambda each: each[1:]))


def test_few_differences_are_known_each_with_a_clause_and_everything_seen_of_it_once() -> None:
    assert len(KNOWN) <= MOST
    assert all(all((each.title, each.they, each.we, each.clause, each.why, each.seen)) for each in KNOWN)
    places = Counter((question, seen.aspect) for each in KNOWN for seen in each.seen for question in seen.questions)
    assert [place for place, times in places.items() if times > 1] == []
    assert len({each.id for each in KNOWN}) == len(KNOWN)


def test_questions_have_names_of_their_own_and_are_hundreds() -> None:
    names = Counter(question.name for question in QUESTIONS)
    assert [name for name, times in names.items() if times > 1] == []
    assert len(names) > 1000


def test_document_says_what_is_known() -> None:
    assert document.FILE.read_text() == document.rendered(), "python -m tests.interop.differential.document"
