"""A question that both providers are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.interop.differential.normal_form import Answer
from tests.interop.differential.site import Site


@dataclass(frozen=True)
class Question:
    """`name` is `endpoint/what is asked`; `ask` sends the request, and what must come before it."""

    name: str
    ask: Callable[[Site], Answer]
