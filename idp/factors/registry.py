"""The second factors there are, the one we advise first."""

from dataclasses import dataclass

from idp.factors.base import SecondFactor
from idp.factors.email_code import EmailCode, Limits
from idp.factors.totp import Totp
from idp.kernel.secrets import DerivedKeys
from idp.mail.post import Post

FACTORS: tuple[type[SecondFactor], ...] = (Totp, EmailCode)


@dataclass(frozen=True)
class Tools:
    """What factors are made with."""

    keys: DerivedKeys
    post: Post
    mail_codes: Limits


def second_factors(tools: Tools) -> tuple[SecondFactor, ...]:
    """One of each, in the order of `FACTORS`."""
    return (Totp(), EmailCode(tools.keys, tools.post, tools.mail_codes))


def highest_level() -> int:
    """The highest level that somebody can reach with what there is."""
    return max(each.reaches for each in FACTORS)
