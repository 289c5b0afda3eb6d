"""The levels of authentication and what each factor proves.

    level   acr               means                                              amr (RFC 8176)
    1       {issuer}/acr/1    password only                                      pwd
    2       {issuer}/acr/2    password and any enrolled second factor            pwd otp
    3       {issuer}/acr/3    password and a factor that is not e-mail           pwd otp mfa
    4       phr               phishing-resistant (OpenID EAP ACR values 1.0)     swk or hwk, user, mfa

Each level satisfies the ones before it. E-mail is not out-of-band authentication for NIST SP 800-63B-4 3.1.3.1, so it
never yields `mfa`.
"""

from collections.abc import Iterable

PASSWORD = 1
SECOND_FACTOR = 2
STRONG_SECOND_FACTOR = 3
PHISHING_RESISTANT = 4

LEVELS = (PASSWORD, SECOND_FACTOR, STRONG_SECOND_FACTOR, PHISHING_RESISTANT)


class AcrValues:
    """Translates between levels and the `acr` values of one issuer."""

    def __init__(self, issuer: str) -> None:
        self._value = {level: f"{issuer}/acr/{level}" for level in LEVELS}
        self._value[PHISHING_RESISTANT] = "phr"
        self._level = {value: level for level, value in self._value.items()}

    def value(self, level: int) -> str:
        return self._value[level]

    def level(self, value: str) -> int | None:
        """The level of an `acr` value; None for one that this issuer does not know."""
        return self._level.get(value)

    def known(self, values: Iterable[str]) -> list[int]:
        """The levels of those values that are known; unknown ones are ignored (OIDC Core 3.1.2.1)."""
        return [level for value in values if (level := self._level.get(value)) is not None]

    def stated(self, requested: Iterable[str], reached: int) -> str:
        """The `acr` claim: the highest value asked for that was reached, or what was reached when nothing fits."""
        fitting = [level for level in self.known(requested) if level <= reached]
        return self.value(max(fitting, default=reached))

    def supported(self, highest: int) -> list[str]:
        """What discovery says (`acr_values_supported`)."""
        return [self.value(level) for level in LEVELS if level <= highest]
