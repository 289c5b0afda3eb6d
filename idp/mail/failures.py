"""Why a message was not taken, in words that are safe to keep: no address, no code, nothing of what the relay said.

A relay often repeats the receiver, and sometimes the message, in its answer. Only the answer's number is kept.
"""

import smtplib
import socket
import ssl

from idp.kernel.errors import IdpError

# What concerns this message and its receiver; the other commands fail for every message alike, until somebody
# mends the settings.
_TELLS_ABOUT_THE_MESSAGE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)


class NotSent(IdpError):
    """The relay did not take the message. `detail` says why; `is_final`: another try would get the same answer."""

    def __init__(self, detail: str, is_final: bool = False) -> None:
        super().__init__(detail)
        self.is_final = is_final


class UnusableAddress(NotSent):
    """No message can be addressed so."""

    def __init__(self) -> None:
        super().__init__("address cannot be used", is_final=True)


def not_sent(error: Exception) -> NotSent:
    """What is kept and known of an exception of `smtplib`, `ssl` or the network."""
    code = _code(error)
    if isinstance(error, _TELLS_ABOUT_THE_MESSAGE) and code is not None:
        is_final = 500 <= code <= 599
        return NotSent(f"{'refused' if is_final else 'deferred'} {code}", is_final)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotSent(f"login refused {code}")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NotSent("relay lacks what is needed")
    if code is not None and code > 0:
        return NotSent(f"relay answered {code}")
    return NotSent(_network(error))


def _code(error: Exception) -> int | None:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # A message has one receiver.
        return next((int(code) for code, _ in error.recipients.values()), None)
    return int(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else None


def _network(error: Exception) -> str:
    # smtplib says "disconnected" for everything that happens while it reads; what did happen is the context.
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, OSError):
        return _network(error.__context__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate not trusted"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "relay not found"
    if isinstance(error, ssl.SSLError):
        return "encryption failed"
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError):
        return "connection lost"
    return f"failed: {type(error).__name__}"
