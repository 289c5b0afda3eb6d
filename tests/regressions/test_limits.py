"""The installation's limits reach those who set an organisation's own."""

from datetime import timedelta
from typing import Any

import pytest

from idp.admin.refusals import Refusals
from idp.wiring import Services
from tests.regressions.ways import MINUTE, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"session": {"idle_timeout": 20 * MINUTE, "absolute_timeout": timedelta(hours=2)}}


@pytest.mark.parametrize(("rule", "longest"), [("idle_timeout", 20 * MINUTE), ("absolute_timeout", timedelta(hours=2))])
def test_organisation_cannot_be_given_longer_sessions_than_the_settings_say(
    services: Services, rule: str, longest: timedelta
) -> None:
    allowed: Any = {rule: longest}
    longer: Any = {rule: longest + timedelta(seconds=1)}
    services.organizations.add("10234", "De Linde", **allowed)
    with pytest.raises(Refusals) as refused:
        services.organizations.set("10234", **longer)
    assert refused.value.message_keys == (f"organization.{rule}",)
