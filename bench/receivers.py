"""Clients that are told of ended sessions: some ports in one process, which notes what comes when.

`python -m bench.receivers 10` prints the ports as a line of JSON, and at the end of its standard input what came: the
`sid`, the port and the moment of each call.
"""

import json
import sys
from base64 import urlsafe_b64decode
from contextlib import ExitStack
from typing import Any

from idp.kernel.clock import SystemClock
from tests.egress.receivers import Handler, Receiver


def claims_in(token: str) -> dict[str, Any]:
    """What a token says; whether that is true is not the question here."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def main(number: int) -> None:
    clock, came = SystemClock(), []

    def note(handler: Handler) -> None:
        at = clock.now()
        handler.answer(200)
        came.append((handler.form["logout_token"], handler.receiver.port, at.isoformat()))

    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver(note)) for _ in range(number)]
        print(json.dumps([receiver.port for receiver in receivers]), flush=True)
        sys.stdin.read()
    print(json.dumps([(claims_in(token)["sid"], port, at) for token, port, at in came]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
