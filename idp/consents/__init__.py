"""What people allowed applications of third parties to know.

    models.py    Consent: account, client, scope
    record.py    granted_scope, grant, withdraw, revoke

First-party clients ask nothing but offline access; whether somebody has to be asked is decided in `signin.checks`.
"""
