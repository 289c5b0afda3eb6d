"""What happened: every decision about a person, a session or a client, as typed events.

    events.py    one frozen dataclass for each kind of event; no field ever holds a secret, a code or a password
    trail.py     the append-only table, and `record`, which writes an event in the unit of work that is open
    search.py    looking events up
    chain.py     the hash chain: the worker links the events, `verify` tells what was changed afterwards

The request code on error pages (`K7QM-3F`) is on the events of the same request, so that the service desk finds them.
"""
