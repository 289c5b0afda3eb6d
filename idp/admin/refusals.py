"""Everything that is wrong at once, so that nobody corrects one thing at a time."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from idp.kernel.errors import Refused

P = ParamSpec("P")
R = TypeVar("R")


class Refusals(Refused):
    """One or more reasons; `message_keys` names all their sentences, `detail` says them in English."""

    def __init__(self, reasons: list[Refused]) -> None:
        super().__init__(reasons[0].message_key, "; ".join(reason.detail for reason in reasons))
        self.message_keys = tuple(reason.message_key for reason in reasons)


class Reasons:
    """Collects what is wrong; `raise_any` refuses when there is something."""

    def __init__(self) -> None:
        self._found: list[Refused] = []

    def add(self, message_key: str, detail: str) -> None:
        """This is wrong too."""
        self._found.append(Refused(message_key, detail))

    def unless(self, holds: bool, message_key: str, detail: str) -> None:
        """This is wrong too, unless it holds."""
        if not holds:
            self.add(message_key, detail)

    def checking(self, check: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R | None:
        """What the check returns; None, and one more reason, when it refuses."""
        try:
            return check(*arguments, **options)
        except Refused as refused:
            self._found.append(refused)
            return None

    def raise_any(self) -> None:
        """Raises Refusals when anything is wrong."""
        if self._found:
            raise Refusals(self._found)
