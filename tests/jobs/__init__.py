"""Tests of `idp.jobs`."""
