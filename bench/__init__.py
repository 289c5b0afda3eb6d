"""Measurements, each a command of its own; none is part of the tests but for a few rounds.

hot_paths.py       `python -m bench.hot_paths`: what token, refresh, introspection, userinfo and silent requests cost
paths.py           their requests, over connections that stay open
installations.py   a checkout, set up and served
counting.py        what each request asks of the database
notices.py         `python -m bench.notices`: from the deadline of a session to the call at its clients
receivers.py       the clients of that, in a process of their own
"""
