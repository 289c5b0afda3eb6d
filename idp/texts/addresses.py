"""E-mail addresses as they may be shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskedAddress:
    """As much of an e-mail address as its owner needs to recognise it."""

    first: str
    domain: str

    def __str__(self) -> str:
        return f"{self.first}•••••@{self.domain}"


def mask(address: str) -> MaskedAddress:
    """`address` with all but its first letter and its domain hidden; the number of dots says nothing about its length.

    Raises ValueError when `address` is not of the form `local@domain`.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError("an e-mail address has a part on either side of the @")
    return MaskedAddress(local[0], domain)
