"""Settings that are right by themselves and wrong together."""

from collections.abc import Iterator, Mapping
from typing import Any

from idp.settings.durations import format_duration
from idp.settings.values import is_loopback, key_id


def contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings that are right by themselves and wrong together: (setting, what is wrong and what is allowed).

    `values` holds every valid setting by its key; a rule about a setting that is not in it is silent.
    """
    for shorter, longer in (
        ("session.idle_timeout", "session.absolute_timeout"),
        ("sign_in.interaction_idle_timeout", "sign_in.request_lifetime"),
        ("second_factor.wait_first", "second_factor.wait_longest"),
        ("tokens.refresh_rotation_grace", "tokens.offline_lifetime"),
        # Whoever is signed in can be signed out with the ID token that they got at first.
        ("session.absolute_timeout", "keys.publish_after"),
        ("keys.publish_ahead", "keys.rotate_after"),
    ):
        if shorter in values and values.get(longer) is not None and values[longer] < values[shorter]:
            lower, upper = format_duration(values[shorter]), format_duration(values[longer])
            yield longer, f"{upper} is shorter than `{shorter}` ({lower}); allowed: {lower} or longer"
    mode = values.get("mode")
    for key, least in (("passwords.time_cost", 2), ("passwords.memory_kib", 19456), ("passwords.parallelism", 1)):
        if mode is not None and mode != "test" and values.get(key, least) < least:
            yield key, f"{values[key]} is weaker than the default; allowed: {least} or more (less only in mode test)"
    lanes = values.get("passwords.parallelism", 1)
    if values.get("passwords.memory_kib", 8 * lanes) < 8 * lanes:
        least = 8 * lanes
        yield "passwords.memory_kib", f"is too little for {lanes} lanes; allowed: {least} or more (8 KiB per lane)"
    for key, floor in (
        ("passwords.minimum_length", "passwords.minimum_length_with_second_factor"),
        ("database.pool_size", "server.threads"),
        ("second_factor.disable_after", "second_factor.attempts"),
    ):
        if key in values and floor in values and values[key] < values[floor]:
            yield key, f"{values[key]} is less than `{floor}` ({values[floor]}); allowed: {values[floor]} or more"
    threads, registration = values.get("server.threads"), values.get("registration.mode", "off")
    # One may wait for a server of a stranger, another for that of one that people use, a third for that of an
    # administrator's client: see `egress.places`.
    least = {"off": 1, "token": 3, "open": 4}.get(registration, 1)
    if mode is not None and mode != "test" and threads is not None and threads < least:
        yield (
            "server.threads",
            f"{threads} is too few where `registration.mode` is {registration}, since servers of strangers are waited"
            f" for; allowed: {least} or more (less only in mode test)",
        )
    present, earlier = values.get("secret_key"), values.get("previous_secret_keys", ())
    ids = [key_id(key) for key in ((present,) if present else ()) + tuple(earlier)]
    if len(ids) != len(set(ids)):
        yield "previous_secret_keys", "holds a key twice, or the present one; allowed: each earlier key once"
    if "mail.host" in values:
        yield from _mail_contradictions(values)


def _mail_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "mail.username" in values and "mail.password" in values:
        if (values["mail.username"] is None) != (values["mail.password"] is None):
            missing = "mail.username" if values["mail.username"] is None else "mail.password"
            yield missing, "is missing; allowed: both `mail.username` and `mail.password`, or neither"
    if values.get("mail.tls") == "none" and values.get("mail.password") and not is_loopback(values["mail.host"]):
        yield "mail.tls", "none would send the password readable to the relay; allowed: starttls or tls"
