"""The second factors there are, the one we advise first."""

from idp.factors.base import SecondFactor
from idp.factors.totp import Totp

FACTORS: tuple[SecondFactor, ...] = (Totp(),)


def highest_level() -> int:
    """The highest level that somebody can reach with what there is."""
    return max(each.reaches for each in FACTORS)
