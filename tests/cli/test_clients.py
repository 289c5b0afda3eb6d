"""`idp client`: what is said about how an application tells that its user is active, and which ones never do."""

import pytest

from idp.admin.activity_signals import LOOKED_AT
from idp.cli.base import State
from idp.oidc.clients import SESSION_ACTIVITY
from tests import canary
from tests.jobs.notices import end_session, open_session
from tests.test_cli import CALLBACK, Installation, empty, installation, words  # noqa: F401 - fixtures

ADD = ("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--id", "atosi")
HINTS = {
    "reported": ("recommended",),
    "token_refresh": ("each refresh counts", "one access-token lifetime early", "empty chair until the absolute limit"),
    "none": ("people working in it are signed out 30 minutes after they last visited us",),
}


def test_each_way_to_tell_of_activity_has_a_sentence_that_says_what_it_costs() -> None:
    assert set(HINTS) == set(SESSION_ACTIVITY)
    for value, hints in HINTS.items():
        assert all(hint in SESSION_ACTIVITY[value] for hint in hints), value


@pytest.mark.parametrize("command", ["add", "set"])
def test_help_says_the_sentence_of_every_way(installation: Installation, command: str) -> None:  # noqa: F811
    said = words(installation.run("client", command, "--help").stdout)
    for value, sentence in SESSION_ACTIVITY.items():
        assert f"{value}: {sentence}" in said


@pytest.mark.parametrize("kind", ["browser", "native"])
def test_refusal_without_a_choice_says_the_sentence_of_every_way(
    installation: Installation,  # noqa: F811
    kind: str,
) -> None:
    said = words(installation.refused(*ADD, "--type", kind))
    for value, sentence in SESSION_ACTIVITY.items():
        assert f"{value}: {sentence}" in said


@pytest.mark.parametrize(
    ("options", "chosen"),
    [((), "none"), (("--refresh-tokens",), "token_refresh"), (("--session-activity", "reported"), "reported")],
)
def test_adding_says_the_sentence_of_what_was_chosen_beside_the_result(
    installation: Installation,  # noqa: F811
    options: tuple[str, ...],
    chosen: str,
) -> None:
    added = installation.run(*ADD, *options)
    assert added.exit_code == 0
    assert added.stderr == f"session_activity {chosen}: {SESSION_ACTIVITY[chosen]}\n"
    assert SESSION_ACTIVITY[chosen] not in added.stdout


def test_setting_says_the_sentence_of_what_holds_from_now_on(installation: Installation) -> None:  # noqa: F811
    installation.done(*ADD)
    for options in (("--session-activity", "reported"), ("--name", "Atosi 2")):
        changed = installation.run("client", "set", "atosi", *options)
        assert changed.stderr == f"session_activity reported: {SESSION_ACTIVITY['reported']}\n"


def test_list_shows_which_applications_never_tell_that_their_user_is_active(
    installation: Installation,  # noqa: F811
) -> None:
    installation.done(*ADD, "--session-activity", "reported")
    installation.done("client", "add", "Rapportages", "--redirect-uri", CALLBACK, "--id", "rapportages")
    assert [each["is_silent"] for each in installation.done("client", "list")] == [False, False]
    silent_sessions(installation, "atosi", "rapportages")
    listed = {each["client_id"]: each["is_silent"] for each in installation.done("client", "list")}
    assert listed == {"atosi": True, "rapportages": False}, "one that is registered to tell nothing is never wrong"
    head, *lines = installation.run("client", "list").stdout.splitlines()
    assert head.split()[-1] == "is_silent"
    assert {line.split()[0]: line.split()[-1] for line in lines} == {"atosi": "yes", "rapportages": "no"}


def silent_sessions(installation: Installation, *client_ids: str) -> None:  # noqa: F811
    """As many sessions as are looked at have ended, in which these clients took part and told nothing."""
    installation.done("org", "add", "10234", "--name", "De Linde", "--required-from", "2022-01-01")
    installation.done("user", "add", "10234", "anna", "--without-password")
    with State(installation.config).services() as services:
        account_id = services.accounts.show("10234", "anna").account.id
        for _ in range(LOOKED_AT):
            session_id = open_session(services, account_id, client_ids)
            end_session(services, session_id)


def registered_itself(installation: Installation) -> str:  # noqa: F811
    """The `client_id` of an application that did."""
    token = installation.done("client", "token", "add", "een leverancier")["initial_access_token"]
    body = b'{"client_name": "Vreemd", "redirect_uris": ["https://rp.example/callback"]}'
    with State(installation.config).services() as services:
        told = services.registration.register(body, "application/json", f"Bearer {token}")
    canary.knows(token, told["client_secret"], told["registration_access_token"])
    return str(told["client_id"])


def test_what_was_decided_about_an_application_that_registered_itself_is_shown_until_it_is_left_to_it(
    installation: Installation,  # noqa: F811
) -> None:
    client_id = registered_itself(installation)
    assert installation.done("client", "show", client_id)["decided"] == []
    assert installation.done("client", "set", client_id, "--scope", "openid")["decided"] == ["scope"]
    left = installation.done("client", "leave", client_id)
    assert (left["decided"], left["scope"]) == ([], "openid")
    installation.done(*ADD)
    assert "did not register itself" in installation.refused("client", "leave", "atosi")


def test_application_is_deleted_by_whoever_says_yes_and_by_nobody_else(
    installation: Installation,  # noqa: F811
) -> None:
    installation.done(*ADD)
    for given in ("", "n\n"):
        refused = installation.run("client", "delete", "atosi", given=given)
        assert refused.exit_code == 1 and "Atosi" in refused.output
    assert installation.done("client", "show", "atosi")["client_name"] == "Atosi"
    assert installation.run("client", "delete", "atosi", given="y\n").exit_code == 0
    assert installation.done("client", "list") == []
    assert "no client" in installation.refused("client", "delete", "atosi", "--yes")
    installation.done("client", "add", "Rooster", "--redirect-uri", CALLBACK, "--id", "rooster")
    deleted = installation.done("client", "delete", "rooster", "--yes")
    assert deleted["client_id"] == "rooster" and deleted["deleted_at"] and installation.done("client", "list") == []
