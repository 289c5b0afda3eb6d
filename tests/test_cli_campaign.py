"""`idp campaign simulate` on a real installation."""

from tests.test_cli import PASSWORD, Installation, empty, installation  # noqa: F401 - fixtures


def test_simulation_tells_who_would_meet_what_on_a_day(installation: Installation) -> None:  # noqa: F811
    run = installation.done
    run("org", "add", "10234", "--name", "De Linde", "--required-from", "2026-11-01", "--postpone-until", "2027-02-01")
    run("user", "add", "10234", "els", "--password-stdin", given=PASSWORD)
    run("user", "add", "10234", "dirk", "--password-stdin", given=PASSWORD)
    run("user", "block", "10234", "dirk", "--reason", "left")
    rows = run("campaign", "simulate", "--org", "10234", "--on", "2027-01-30")
    assert [(row["username"], row["meets"], row["days_left"]) for row in rows] == [
        ("dirk", "blocked", None),
        ("els", "enrol_second_factor", 2),
    ]
    shown = installation.run("campaign", "simulate", "--org", "10234", "--on", "2027-02-02").stdout
    assert "choose a method" in shown and "are blocked" in shown


def test_simulation_without_a_day_or_of_an_unknown_organisation_is_refused(installation: Installation) -> None:  # noqa: F811
    assert "--on" in installation.refused("campaign", "simulate", "--org", "10234", code=2)
    assert "no organisation" in installation.refused("campaign", "simulate", "--org", "1", "--on", "2027-01-01")
    assert "date" in installation.refused("campaign", "simulate", "--org", "1", "--on", "", code=2)
