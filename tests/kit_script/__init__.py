"""The page script of the kit (`clients/python/idp_kit/static/session.js`) in a real browser, against a real stopwatch.

application.py  a small application that keeps the script's contract; its sign-in lasts seconds
conftest.py     the browser, one application for each test, and tabs whose every complaint fails the test
"""
