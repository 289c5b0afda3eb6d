"""The ground everything stands on: no I/O and no import from the rest of idp.

clock.py      the one clock; all of idp asks it for the time
secrets.py    random tokens, hashes of stored secrets, derived keys, constant-time comparison
envelope.py   secrets at rest: sealed with a key id, opened only for the row they were sealed for
errors.py     IdpError and the four kinds below it
resources.py  where templates, migrations and configuration lie, in a checkout and in a wheel
levels.py     the ordered levels of authentication (`acr`) and what each factor proves (`amr`)
uris.py       with_query: parameters behind what applications registered
"""
