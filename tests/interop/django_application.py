"""A Django application that signs people in by mozilla-django-oidc at /oidc/, or by social-auth-app-django at /social/.

A program of its own, since Django's settings are those of a whole process:

    ISSUER=... PORT=... DATABASE=... SECRET_KEY=... LIBRARY=mozilla CLIENT_SECRET=... \\
        python -m tests.interop.django_application

LIBRARY is also the client's identifier: `mozilla` or `social`. Only one of the two is a way to authenticate, because
Django asks every way that it is given. Every option is the libraries' default but for those with a reason beside them.
"""

import os
from typing import Any
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.contrib.auth import logout
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from django.utils.html import format_html

ISSUER, PORT = os.environ["ISSUER"], int(os.environ["PORT"])
BACKENDS = {
    "mozilla": "mozilla_django_oidc.auth.OIDCAuthenticationBackend",
    "social": "social_core.backends.open_id_connect.OpenIdConnectAuth",
}
ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{ISSUER}/authorize",
    "OIDC_OP_TOKEN_ENDPOINT": f"{ISSUER}/token",
    "OIDC_OP_USER_ENDPOINT": f"{ISSUER}/userinfo",
    "OIDC_OP_JWKS_ENDPOINT": f"{ISSUER}/jwks",
}


def configure() -> None:
    settings.configure(
        SECRET_KEY=os.environ["SECRET_KEY"],
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=Addresses(),
        USE_TZ=True,
        # What fails is printed, and not only answered with 500.
        DEBUG_PROPAGATE_EXCEPTIONS=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "mozilla_django_oidc",
            "social_django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTHENTICATION_BACKENDS=[BACKENDS[os.environ["LIBRARY"]]],
        LOGIN_REDIRECT_URL="/",
        LOGOUT_REDIRECT_URL="/",
        # Its algorithm is HS256 unless it is told: nobody should share a secret with those who verify.
        OIDC_RP_SIGN_ALGO="RS256",
        OIDC_RP_CLIENT_ID="mozilla",
        OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
        OIDC_RP_SCOPES="openid email profile",
        # New clients must use PKCE here; the library can, and does not unless it is told.
        OIDC_USE_PKCE=True,
        **ENDPOINTS,
        SOCIAL_AUTH_OIDC_OIDC_ENDPOINT=ISSUER,
        SOCIAL_AUTH_OIDC_KEY="social",
        SOCIAL_AUTH_OIDC_SECRET=os.environ["CLIENT_SECRET"],
        # As above.
        SOCIAL_AUTH_OIDC_USE_PKCE=True,
    )
    django.setup()


def home(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not user.is_authenticated:
        return JsonResponse({"signed_in": False})
    linked = {each.provider: each.uid for each in user.social_auth.all()}
    return JsonResponse(
        {"signed_in": True, "email": user.email, "username": user.username, "full_name": user.get_full_name()}
        | {"linked": linked}
    )


def enter(request: HttpRequest) -> HttpResponse:
    form = (
        '<form method="post" action="/social/login/oidc/"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
    )
    return HttpResponse(format_html(form + '<button id="login">Inloggen</button></form>', get_token(request)))


def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return JsonResponse({"signed_in": False})


class Addresses:
    """The addresses, as Django takes them from a module: those of the libraries ask for the settings when imported."""

    @property
    def urlpatterns(self) -> list[Any]:
        return [
            path("", home),
            path("enter/", enter),
            path("leave/", leave),
            path("oidc/", include("mozilla_django_oidc.urls")),
            path("social/", include("social_django.urls", namespace="social")),
        ]


if __name__ == "__main__":
    configure()
    call_command("migrate", verbosity=0)
    with make_server("127.0.0.1", PORT, get_wsgi_application()) as server:
        server.serve_forever()
