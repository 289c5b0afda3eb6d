"""How often somebody may guess.

An attempt is *paid before* it is verified, in a transaction of its own that is committed first: whoever asks a thousand
times at once gets as many verifications as one who asks one after the other.

    models.py    AttemptBudget: one row per thing that can be guessed; EventCount: one per window of a subject
    budget.py    pay, succeed; the waits
    counts.py    pay, count, give back: numbers within an hour, over many accounts

Waits are for passwords (per organisation code, username and device, whether or not such an account exists) and for each
account's second factors. Counts are for wrong passwords: of one source, of one organisation, and of all.
"""
