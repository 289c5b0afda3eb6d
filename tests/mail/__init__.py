"""Tests of `idp.mail`."""
