"""Attacks on the provider, and what happens instead. Each test carries the number of its attack.

numbers                                file                     about
A01-A05 A09 A10                        test_guessing.py         guessing, and codes that come back
"""
