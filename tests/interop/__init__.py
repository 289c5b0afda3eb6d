"""Journeys with client libraries that other people wrote, against the provider on a real port.

live_provider.py        the provider as these tests need it; the only place that knows how it is built
test_openid_client.py   npm's openid-client (a certified relying party), run by Node: node/journey.mjs
test_authlib.py         Authlib's OAuth2Session
test_demo.py            the demonstration's two applications, in one browser
"""
