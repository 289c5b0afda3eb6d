"""`idp demo --certification` as the OpenID Foundation's conformance suite meets it, without that suite.

suite.py        a stand-in for the suite's own addresses: callbacks, notices of logout, keys
automation.py   the suite's browser commands, obeyed by Chromium
party.py        a client as the suite's modules make it: registered by itself, or from a configuration file

What is asked follows the published modules of the same names; none of their code is here.
"""
