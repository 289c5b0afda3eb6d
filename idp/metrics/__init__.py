"""Figures for Prometheus, about what was promised: that sessions end on time and every application is told.

    figures.py      Figures: counts what happens in this process: ends of sessions, and what became of notices
    database.py     DatabaseFigures: what is in the database when somebody looks
    exposition.py   served on a port of its own; the figures of several processes as one

A figure names no person, no session and no client: kinds of outcomes are all the labels there are. A series for each
client would begin with its first failure, which `increase()` does not see; `idp outbox list` names the client.
"""
