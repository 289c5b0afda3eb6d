"""The single sign-on session: one per browser, for all applications, over after 30 minutes without activity.

    models.py       Session, Participation ("this client joined this session")
    idle.py         THE 30-MINUTE CLOCK: when a session is over, and what counts as activity
    lifecycle.py    open, reauthenticate, load_live (the one honest reader), touch, join, end (the only road out)

The cookie holds a random secret of which only a hash is stored; the published `sid` proves nothing.
"""
