"""Tests of `idp.audit`."""
