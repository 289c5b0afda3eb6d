"""Tests of `idp.texts`."""
