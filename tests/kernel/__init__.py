"""Tests of `idp.kernel`."""
