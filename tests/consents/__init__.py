"""Tests of `idp.consents`."""
