"""What people allowed applications of third parties to know.

    models.py    Consent: account, client, scope
    record.py    granted_scope, grant, revoke

First-party clients ask nothing; whether somebody has to be asked is decided in `signin.checks`.
"""
