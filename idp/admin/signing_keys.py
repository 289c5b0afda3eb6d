"""The signing keys of an installation."""

from collections.abc import Sequence

from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.oidc import keys
from idp.oidc.models import SigningKey
from idp.store.units import UnitsOfWork


class SigningKeys:
    """Makes and lists signing keys."""

    def __init__(self, units: UnitsOfWork, clock: Clock, envelope: Envelope) -> None:
        self._units, self._clock, self._envelope = units, clock, envelope

    def ensure(self) -> Sequence[str]:
        """There is a key for each algorithm; the algorithms for which one was made. A first key signs at once."""
        if not _missing(self.list()):
            return ()
        now = self._clock.now()
        with self._units.writing() as unit:
            # Looked at again under the write lock: another process may have started at the same moment.
            missing = _missing(keys.listed(unit))
            for alg in missing:
                keys.create(unit, self._envelope, alg, now, signs_from=now)
        return missing

    def list(self) -> Sequence[SigningKey]:
        """All keys, oldest first."""
        with self._units.reading() as unit:
            return keys.listed(unit)


def _missing(present: Sequence[SigningKey]) -> Sequence[str]:
    available = {key.alg for key in present if key.retired_at is None}
    return tuple(alg for alg in keys.ALGORITHMS if alg not in available)
