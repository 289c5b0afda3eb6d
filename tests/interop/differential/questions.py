"""Everything that both are asked."""

from __future__ import annotations

from tests.interop.differential import (
    ask_authentication,
    ask_authorization,
    ask_dpop,
    ask_logout,
    ask_metadata,
    ask_pushed,
    ask_registration,
    ask_token,
    ask_tokens,
)
from tests.interop.differential.question import Question

TABLES = (
    ask_metadata,
    ask_registration,
    ask_authorization,
    ask_pushed,
    ask_authentication,
    ask_token,
    ask_dpop,
    ask_tokens,
    ask_logout,
)
QUESTIONS: tuple[Question, ...] = tuple(question for table in TABLES for question in table.questions())
