"""What administrators do, as use cases: each opens its own units of work and leaves an audit event for every change.

    organizations.py   Organizations: add, set, list, show
    appearance.py      the colour, the addresses and the sentences that an organisation may have
    logos.py           Logos: set, remove, list; every picture is drawn anew
    accounts.py        Accounts: add, set, set a password, block, unblock, list, show
    service_desk.py    ServiceDesk: reset and undo, lift a wait, extend, show
    sessions.py        SessionAdministration: list, show with its receipts, end one or all of an account
    offline_access.py  OfflineAccess: list, end
    extensions.py      when somebody may be given a later last day for postponing
    clients.py         Clients: register, set, leave to itself, delete, list, show
    client_credentials.py what a client authenticates with: the secret it gets, its keys
    client_profile.py     what the profile fapi2 demands of a registration
    registration.py    Registration: clients register themselves, and read, replace and end what they registered
    registration_request.py what they ask for, judged by itself
    client_metadata.py the metadata as it travels, read into columns and written back
    client_decisions.py what an administrator decided holds, whatever the client sends, until it moves
    client_wishes.py   what is wrong with what a client wishes for its requests, tokens and subjects
    client_end.py      what ends with a client
    initial_access_tokens.py InitialAccessTokens: who may register clients: add, list, revoke
    activity_signals.py   clients that never tell that their user is active, though they are registered to
    signing_keys.py    SigningKeys: the keys that must exist before anything is signed
    refusals.py        Refusals: everything that is wrong with a form at once

The command line and the console call the same use cases. What is refused is a `Refused`: its message key is for a page,
its `detail` an English sentence for the command line. Not here: what people do for themselves (`signin`).
"""
