"""Measurements, each a command of its own; none is part of the tests but for a few rounds.

notices.py      `python -m bench.notices`: from the deadline of a session to the call at its clients
receivers.py    the clients of that, in a process of their own
"""
