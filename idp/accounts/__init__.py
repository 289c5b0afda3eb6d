"""Organisations, the people in them, and the password step.

    models.py       Organization (has an `org_code` and its roll-out of the second factor), Account (a person's record)
    names.py        the one canonical form of organisation codes and usernames
    campaign.py     required from when, postponable until when: pure questions about dates
    standard_claims.py  what else is kept about somebody for applications, and in which forms
    addresses.py    what may stand in a record as an e-mail address
    correspondence.py  in whose name letters to them are written, and in which language
    devices.py      browsers in which somebody signed in before: they have password tries of their own
    identify.py     organisation code + username + password -> Identified or a refusal
    passwords.py    argon2id: hash, verify, rehash, rules for new ones

Not here: second factors (`factors`), who is signed in (`sessions`), the order of the steps (`signin`).
"""
