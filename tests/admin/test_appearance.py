"""What an organisation may say about its look, and what is refused in words."""

from typing import Any

import pytest

from idp.admin.appearance import LONGEST_ADDRESS, LONGEST_TEXT, SLOTS, merged
from idp.admin.refusals import Refusals
from idp.audit.events import OrganizationChanged
from idp.audit.trail import events
from idp.wiring import Services

LONGEST = "https://linde.example/" + "p" * (LONGEST_ADDRESS - len("https://linde.example/"))


def changes(services: Services) -> list[str]:
    with services.units.reading() as unit:
        return [event.details["change"] for event in events(unit, OrganizationChanged)]


ALLOWED: list[dict[str, Any]] = [
    {"brand_colour": "#0b5b78"},
    {"privacy_uri": "https://linde.example"},
    {"privacy_uri": "https://www.linde.example:8443/privacy?taal=nl#cookies"},
    {"privacy_uri": LONGEST},
    {"service_desk_email": "ict@linde.example"},
    {"texts": {language: {slot: "Bel Jan." for slot in SLOTS} for language in ("nl", "en")}},
    {"texts": {"nl": {"choose.help": "</style><b>Bel</b> {jan} {{ 7 * 7 }} %s"}}},
    {"texts": {"nl": {"choose.help": "é" * LONGEST_TEXT}}},
]


def test_look_within_bounds_is_kept_as_it_was_given_and_told_in_the_trail(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    for look in ALLOWED:
        services.organizations.set("10234", **look)
        shown = services.organizations.show("10234")
        ((name, value),) = look.items()
        assert getattr(shown, name) == (value if name != "texts" else merged(shown.texts, value))
    assert changes(services)[1] == "set brand_colour"


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"brand_colour": colour}, "organization.brand_colour")
        for colour in ("", "#fd0", "#FFDD00", "red", "#ffdd00\n", "#ffdd00 ", "#ffdd00;}</style>", "#ffdd0\u0660")
    ),
    *(
        ({"privacy_uri": address}, "organization.privacy_uri")
        for address in (
            "",
            "http://linde.example",
            "HTTPS://linde.example",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            "https:linde.example",
            "https://",
            "https:///privacy",
            "https://linde.example@evil.example/",
            "https://linde.example:port/",
            "https://linde.example:99999/",
            "https://[::1/",
            'https://linde.example/"><script>',
            "https://linde.example/ privacy",
            "https://linde.example\\@evil.example/",
            "https://linde.example/\n",
            "https://l\u0456nde.example/",
            "data:text/html,x",
            "//linde.example",
            LONGEST + "p",
        )
    ),
    *(
        ({"service_desk_email": address}, "organization.service_desk_email")
        for address in ("ict", "ict@linde.example\r\nBcc: all@linde.example", "<ict@linde.example>", "a@" + "b" * 300)
    ),
    *(
        ({"texts": {"nl": {"choose.help": text}}}, "organization.text")
        for text in ("a" * (LONGEST_TEXT + 1), " ", "twee\nregels", "nul\x00", "achter\u202estevoren", "\ud800")
    ),
    ({"texts": {"fr": {"choose.help": "Bonjour."}}}, "organization.text_language"),
    ({"texts": {"nl": {"frame.call": "Niet bellen."}}}, "organization.text_slot"),
    ({"texts": {"nl": {"code.note": "Geef uw code aan iedereen."}}}, "organization.text_slot"),
]


def test_look_out_of_bounds_is_refused_and_nothing_changes(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    for look, message_key in REFUSED:
        with pytest.raises(Refusals) as refused:
            services.organizations.set("10234", **look)
        assert refused.value.message_keys == (message_key,), look
    shown = services.organizations.show("10234")
    assert (shown.brand_colour, shown.privacy_uri, shown.service_desk_email, shown.texts) == (None, None, None, None)
    assert changes(services) == ["created"]


def test_texts_are_set_and_taken_away_one_by_one(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    give = services.organizations.set
    give("10234", texts={"nl": {"choose.help": "Bel Jan.", "code.help": "Bel Els."}, "en": {"code.help": "Call Els."}})
    give("10234", texts={"nl": {"choose.help": ""}})
    assert services.organizations.show("10234").texts == {
        "nl": {"code.help": "Bel Els."},
        "en": {"code.help": "Call Els."},
    }
    give("10234", texts={"nl": {"code.help": "Bel Els."}})
    give("10234", texts={"nl": {"code.help": None}, "en": {"code.help": None}, "fr": {"nothing": ""}})
    assert services.organizations.show("10234").texts is None
    assert changes(services) == ["created", "set texts", "set texts", "set texts"]
