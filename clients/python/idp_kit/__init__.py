"""What a Flask application needs to hand its login over to the provider, and to be signed out with all the others.

    extension.py         SessionKit: routes, who is signed in, `login_required`
    config.py            KitConfig
    sign_in.py           the code flow: Authlib's client, and every check that Authlib leaves out
    incoming.py          what a request says: made by a person, by our page, and what stands in it
    pages.py             the page for a login that failed, what stands in the head of others, what their script is told
    provider.py          metadata, keys, session status and activity at the provider
    signed.py            signatures and claims that all tokens share; id_token.py and logout_token.py: the rest
    logout_receiver.py   back-channel and front-channel logout
    reporter.py          tells the provider what users do, at most once a minute
    session_clock.py     the times of a session, and when a report is due; pure
    store.py             Store: what is kept on the server; sqlite_store.py: in a file, or in memory
    browser_session.py   Flask's `session`, in that store
    clock.py             the one clock
    static/              the script that warns before the end, and its look

It imports nothing of the provider: the two meet at the addresses of the discovery document.
"""

from idp_kit.config import KitConfig
from idp_kit.extension import SessionKit, kit
from idp_kit.sign_in import SignInFailed
from idp_kit.sqlite_store import MemoryStore, SqliteStore
from idp_kit.store import Login, Store

__all__ = ["KitConfig", "Login", "MemoryStore", "SessionKit", "SignInFailed", "SqliteStore", "Store", "kit"]
