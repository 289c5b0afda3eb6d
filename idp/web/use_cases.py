"""What the views call; `wiring` provides it."""

from typing import Protocol

from flask import current_app

from idp.admin.registration import Registration
from idp.admin.signing_keys import SigningKeys
from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import DerivedKeys
from idp.oidc.dpop import Proofs
from idp.oidc.introspection import Introspection
from idp.oidc.keys import Keys
from idp.oidc.provider import Provider
from idp.oidc.pushed_authorization import PushedAuthorization
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.request_intake import RequestIntake
from idp.oidc.revocation import Revocation
from idp.oidc.session_activity import SessionActivity
from idp.oidc.userinfo import Userinfo
from idp.settings import Settings
from idp.signin.answers.door import Answers
from idp.signin.flow import Flow
from idp.signin.logout import Logout
from idp.store.units import UnitsOfWork


class UseCases(Protocol):
    """The part of `wiring.Services` that pages and endpoints use."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def units(self) -> UnitsOfWork: ...
    @property
    def refusals(self) -> RecordedRefusals: ...
    @property
    def derived_keys(self) -> DerivedKeys: ...
    @property
    def envelope(self) -> Envelope: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def signing_keys(self) -> SigningKeys: ...
    @property
    def proofs(self) -> Proofs: ...
    @property
    def provider(self) -> Provider: ...
    @property
    def request_intake(self) -> RequestIntake: ...
    @property
    def pushed_authorization(self) -> PushedAuthorization: ...
    @property
    def introspection(self) -> Introspection: ...
    @property
    def revocation(self) -> Revocation: ...
    @property
    def registration(self) -> Registration: ...
    @property
    def session_activity(self) -> SessionActivity: ...
    @property
    def userinfo(self) -> Userinfo: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def logout(self) -> Logout: ...


def use_cases() -> UseCases:
    """The use cases of the application at hand."""
    found: UseCases = current_app.extensions["idp"]
    return found
