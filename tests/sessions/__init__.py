"""Tests of `idp.sessions`."""
