"""The only file that knows every concrete class: settings and a session holder become services."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session

from idp.accounts.correspondence import Correspondence
from idp.accounts.devices import Devices
from idp.accounts.identify import FailureLimits, Failures, Identification
from idp.accounts.passwords import Passwords
from idp.admin.accounts import Accounts
from idp.admin.clients import Clients
from idp.admin.initial_access_tokens import InitialAccessTokens
from idp.admin.logos import Logos
from idp.admin.offline_access import OfflineAccess
from idp.admin.organizations import Organizations
from idp.admin.registration import MINUTE, Registration
from idp.admin.registration_request import Rules as RegistrationRules
from idp.admin.service_desk import ResetTimes, ServiceDesk
from idp.admin.sessions import SessionAdministration
from idp.admin.signing_keys import KeyTimes, SigningKeys
from idp.attempts.budget import Attempts
from idp.attempts.budget import Limits as AttemptLimits
from idp.attempts.counts import Counts
from idp.audit.trail import Trail
from idp.egress.guarded import TIMEOUT_IN_A_REQUEST, GuardedClient
from idp.egress.places import Places
from idp.factors.email_code import Limits as MailCodeLimits
from idp.factors.registry import Tools, highest_level, second_factors
from idp.kernel.clock import Clock, SystemClock
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import DerivedKeys
from idp.mail.post import Post
from idp.metrics.figures import Figures
from idp.oidc import discovery
from idp.oidc.access_token import AccessTokens
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.backchannel_logout import LogoutNotices
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_keys import ClientKeys
from idp.oidc.dpop import Proofs
from idp.oidc.introspection import Introspection
from idp.oidc.keys import Keys
from idp.oidc.protected_resource import ProtectedResources
from idp.oidc.provider import Provider
from idp.oidc.pushed_authorization import PushedAuthorization
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.refresh_token import RefreshTokens
from idp.oidc.request_intake import RequestIntake
from idp.oidc.request_object import RequestObjects
from idp.oidc.revocation import Revocation
from idp.oidc.session_activity import SessionActivity
from idp.oidc.subjects import Subjects
from idp.oidc.token_issuer import TokenIssuer, TokenLifetimes
from idp.oidc.userinfo import Userinfo
from idp.sessions.lifecycle import Sessions
from idp.settings import Settings
from idp.signin.answers.common import Answering
from idp.signin.answers.door import Answers
from idp.signin.flow import Flow
from idp.signin.logout import Logout
from idp.signin.looks import Limits
from idp.signin.simulate import Simulation
from idp.store.clock import DatabaseClock
from idp.store.units import UnitsOfWork


@dataclass(frozen=True)
class Services:
    """Everything that pages, jobs and commands call."""

    settings: Settings
    clock: Clock
    units: UnitsOfWork
    trail: Trail
    refusals: RecordedRefusals
    derived_keys: DerivedKeys
    envelope: Envelope
    post: Post
    egress: GuardedClient
    keys: Keys
    client_keys: ClientKeys
    sessions: Sessions
    passwords: Passwords
    devices: Devices
    identification: Identification
    proofs: Proofs
    provider: Provider
    request_intake: RequestIntake
    pushed_authorization: PushedAuthorization
    introspection: Introspection
    revocation: Revocation
    session_activity: SessionActivity
    userinfo: Userinfo
    flow: Flow
    answers: Answers
    simulation: Simulation
    logout: Logout
    organizations: Organizations
    logos: Logos
    accounts: Accounts
    service_desk: ServiceDesk
    session_administration: SessionAdministration
    offline_access: OfflineAccess
    figures: Figures
    correspondence: Correspondence
    clients: Clients
    registration: Registration
    initial_access_tokens: InitialAccessTokens
    signing_keys: SigningKeys


def clock_for(engine: Engine) -> Clock:
    """PostgreSQL's own clock where several nodes share one; the machine's otherwise."""
    return DatabaseClock(engine) if engine.dialect.name == "postgresql" else SystemClock()


def build(settings: Settings, holder: "scoped_session[Any] | scoped_session[Session]", clock: Clock) -> Services:
    """The services of one process."""
    units, trail = UnitsOfWork(holder), Trail(clock)
    secret_key = settings.secret_key.get_secret_value()
    derived_keys = DerivedKeys(secret_key)
    envelope = Envelope(secret_key, [key.get_secret_value() for key in settings.previous_secret_keys])
    post = Post(envelope, clock)
    egress = GuardedClient(settings.egress.allow_loopback)
    asking = GuardedClient(settings.egress.allow_loopback, TIMEOUT_IN_A_REQUEST)
    places = Places(settings.server.threads)
    keys, client_keys = Keys(units, envelope, clock), ClientKeys(asking, places)
    refusals = RecordedRefusals(
        units, trail, Counts(derived_keys, clock, "recorded_refusals"), settings.audit.refusals_per_hour
    )
    assertions = ClientAssertions(units, clock, envelope, client_keys, settings.issuer)
    figures = Figures()
    oldest_key = [settings.secret_key, *settings.previous_secret_keys][-1].get_secret_value()
    subjects = Subjects(derived_keys if oldest_key == secret_key else DerivedKeys(oldest_key))
    listeners = (LogoutNotices(subjects), figures)
    sessions = Sessions(clock, trail, settings.session.idle_timeout, settings.session.absolute_timeout, listeners)
    codes = AuthorizationCodes(clock, trail, settings.tokens.authorization_code_lifetime)
    refresh_tokens = RefreshTokens(clock, trail, derived_keys, settings.tokens.refresh_rotation_grace)
    lifetimes = TokenLifetimes(
        settings.tokens.access_token_lifetime, settings.tokens.id_token_lifetime, settings.tokens.offline_lifetime
    )
    token_issuer = TokenIssuer(clock, keys, sessions, refresh_tokens, subjects, settings.issuer, lifetimes)
    proofs = Proofs(clock, derived_keys, settings.issuer, settings.tokens.dpop_nonce == "on")
    provider = Provider(units, trail, refusals, assertions, codes, refresh_tokens, token_issuer, sessions, proofs)
    access_tokens = AccessTokens(units, clock, keys, settings.issuer)
    protected_resources = ProtectedResources(units, access_tokens, proofs)
    request_objects = RequestObjects(clock, client_keys, asking, places, settings.issuer)
    request_intake = RequestIntake(
        units, clock, request_objects, lambda hint: keys.verified_id_token(hint, settings.issuer)
    )
    passwords = Passwords(settings.passwords)
    password_attempts = Attempts(derived_keys, clock, "password", _attempt_limits(settings, disables=False))
    factor_attempts = Attempts(derived_keys, clock, "second_factor", _attempt_limits(settings, disables=True))
    enrolment_attempts = Attempts(derived_keys, clock, "enrolment", _attempt_limits(settings, disables=False))
    correspondence = Correspondence(settings.brand_name, settings.service_desk_phone)
    sign_in = settings.sign_in
    devices = Devices(clock, sign_in.known_device_lifetime)
    failures = Failures(Counts(derived_keys, clock, "password_failures"), trail, _failure_limits(settings))
    identification = Identification(units, passwords, password_attempts, devices, failures)
    limits = Limits(sign_in.interaction_idle_timeout, sign_in.request_lifetime, sign_in.enrolment_reauthentication)
    factors = second_factors(Tools(derived_keys, post, _mail_code_limits(settings)))
    flow = Flow(units, clock, trail, sessions, codes, devices, factors, subjects, settings.issuer, limits)
    answers = Answers(
        Answering(flow, units, clock, trail),
        identification,
        factor_attempts,
        enrolment_attempts,
        factors,
        sessions,
        envelope,
        derived_keys,
        post,
        correspondence,
    )
    return Services(
        settings=settings,
        clock=clock,
        units=units,
        trail=trail,
        refusals=refusals,
        derived_keys=derived_keys,
        envelope=envelope,
        post=post,
        egress=egress,
        keys=keys,
        client_keys=client_keys,
        sessions=sessions,
        passwords=passwords,
        devices=devices,
        identification=identification,
        proofs=proofs,
        provider=provider,
        request_intake=request_intake,
        pushed_authorization=PushedAuthorization(
            units,
            clock,
            refusals,
            assertions,
            request_intake,
            proofs,
            Counts(derived_keys, clock, "pushed_requests", MINUTE),
            settings.tokens.pushed_request_lifetime,
            settings.tokens.pushed_requests_per_minute,
        ),
        introspection=Introspection(
            units, clock, refusals, assertions, access_tokens, refresh_tokens, keys, subjects, settings.issuer
        ),
        revocation=Revocation(units, trail, refusals, assertions, access_tokens, refresh_tokens),
        session_activity=SessionActivity(units, clock, refusals, assertions, sessions, protected_resources),
        userinfo=Userinfo(protected_resources, subjects, keys, settings.issuer),
        flow=flow,
        answers=answers,
        simulation=Simulation(units, factors),
        logout=Logout(units, sessions),
        organizations=Organizations(
            units,
            clock,
            trail,
            mail_is_set_up=settings.mail is not None or settings.mode in ("demo", "test"),
            longest_idle_timeout=settings.session.idle_timeout,
            longest_absolute_timeout=settings.session.absolute_timeout,
        ),
        logos=Logos(units, trail),
        accounts=Accounts(units, clock, trail, passwords, sessions, post, correspondence),
        service_desk=ServiceDesk(
            units,
            clock,
            trail,
            sessions,
            post,
            correspondence,
            attempts={
                "password": password_attempts,
                "second_factor": factor_attempts,
                "enrolment": enrolment_attempts,
            },
            times=ResetTimes(settings.second_factor.reset_window, settings.second_factor.reset_undo),
        ),
        figures=figures,
        session_administration=SessionAdministration(units, clock, trail, sessions),
        offline_access=OfflineAccess(units, clock, trail),
        correspondence=correspondence,
        clients=Clients(units, clock, trail, envelope),
        registration=Registration(
            units,
            clock,
            trail,
            envelope,
            Counts(derived_keys, clock, "registrations", MINUTE),
            asking,
            places,
            settings.issuer,
            _registration_rules(settings),
            discovery.metadata(settings.issuer, highest_level()),
        ),
        initial_access_tokens=InitialAccessTokens(units, clock, trail),
        signing_keys=SigningKeys(
            units,
            clock,
            envelope,
            trail,
            settings.tokens.id_token_lifetime,
            KeyTimes(settings.keys.publish_ahead, settings.keys.publish_after, settings.keys.rotate_after),
        ),
    )


def _attempt_limits(settings: Settings, disables: bool) -> AttemptLimits:
    limits = settings.second_factor
    return AttemptLimits(
        attempts=limits.attempts,
        window=limits.attempts_window,
        wait_first=limits.wait_first,
        wait_longest=limits.wait_longest,
        disable_after=limits.disable_after if disables else None,
    )


def _registration_rules(settings: Settings) -> RegistrationRules:
    rules = settings.registration
    return RegistrationRules(
        rules.mode,
        rules.max_per_minute,
        rules.require_pkce,
        rules.allow_loopback,
        rules.logos,
        rules.unused_lifetime,
    )


def _failure_limits(settings: Settings) -> FailureLimits:
    limits = settings.sign_in
    return FailureLimits(limits.failures_per_source, limits.failures_per_organization, limits.failures_overall)


def _mail_code_limits(settings: Settings) -> MailCodeLimits:
    limits = settings.mail_codes
    return MailCodeLimits(limits.lifetime, limits.pause, limits.per_hour, limits.per_day, limits.per_address_per_hour)
