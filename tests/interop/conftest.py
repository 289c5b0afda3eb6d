from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop import live_provider as provider
from tests.interop.live_provider import LiveProvider


@pytest.fixture
def live_provider(database_url: str) -> Iterator[LiveProvider]:
    with provider.running(database_url) as live:
        yield live
