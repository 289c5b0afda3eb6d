"""Second factors: what a person proves besides the password.

    base.py        SecondFactor (the face each factor has), Verdict, Enrolment
    registry.py    the list of factors; a new one is a module, a line there and two templates
    models.py      Credential: a second factor that was proven once and belongs to an account
    codes.py       cleaning what people type in a code field
    totp.py        the authenticator app (RFC 6238)
    email_code.py  six digits by e-mail; how often one is sent

A factor takes and returns values. Storing, paying for attempts and the audit trail happen once, around all of
them, in `signin.answers`.
"""
