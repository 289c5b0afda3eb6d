"""Tests of `idp.accounts`."""
