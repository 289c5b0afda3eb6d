"""What went wrong once and must not again, by subject: proofs, locks, attempts, tokens, requests, pages, database.

Each test walks the way on which it went wrong, through the whole application, on each database that it can differ on.
"""
