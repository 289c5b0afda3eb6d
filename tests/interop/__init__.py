"""Journeys with client libraries that other people wrote, against the provider on a real port (`tests.live`); and the
same requests to another provider.

test_openid_client.py   npm's openid-client (a certified relying party), run by Node: node/journey.mjs, strict.mjs
test_oidc_client_ts.py  npm's oidc-client-ts in Chromium: browser_application
test_oauth4webapi.py    npm's oauth4webapi, which judges each answer by itself: node/webapi.mjs
test_authlib.py         Authlib's OAuth2Session
test_idpyoidc.py        idpyoidc's relying party
test_django.py          mozilla-django-oidc and social-auth-core: django_application.py
test_issuer_page.py     the examples that the issuer's page shows, run as they stand there
test_document.py        the requests that docs/relying-applications.md shows, run as they stand there
test_differences.py     npm's oidc-provider (a certified provider), asked the same as ours: see `differential`
test_demo.py            the demonstration's two applications, in one browser
node_journey.py         what the journeys by Node share; conftest.py has the providers
"""
