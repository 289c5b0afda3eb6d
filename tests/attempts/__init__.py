"""Tests of `idp.attempts`."""
