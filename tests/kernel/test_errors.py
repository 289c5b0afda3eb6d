"""The kinds of errors and whom each is for."""

from datetime import timedelta

from idp.kernel.errors import IdpError, Misconfigured, ProtocolError, Refused, Throttled


def test_each_kind_is_an_error_of_ours() -> None:
    errors = [Refused("key"), Throttled(timedelta(1)), ProtocolError("invalid_request"), Misconfigured(["a"])]
    assert all(isinstance(error, IdpError) for error in errors)


def test_detail_is_what_the_log_gets_and_falls_back_to_what_is_known() -> None:
    assert Refused("key").detail == "key"
    assert Refused("key", "detail").detail == "detail"
    assert ProtocolError("invalid_request", "for the developer").detail == "for the developer"
    assert str(ProtocolError("invalid_request", "for the developer", "for the log")) == "for the log"


def test_misconfiguration_keeps_every_problem() -> None:
    error = Misconfigured(["first", "second"])
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_throttling_says_when_to_come_back() -> None:
    assert Throttled(timedelta(seconds=5)).retry_after == timedelta(seconds=5)
