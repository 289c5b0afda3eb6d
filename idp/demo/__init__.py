"""What `idp demo` runs, so that somebody can see it work: the provider, two relying applications and a mailbox.

    command.py         the command, and what it tells people
    demonstration.py   all of it at once: what is prepared, started and waited for
    people.py          the organisation, its five people, the two applications
    provider.py        the provider's own process, with a clock that can be moved
    data_folder.py     settings, database and log of one demonstration
    ports.py           where everything is
    processes.py       children that end with their parent
    certification.py   somebody and clients for a conformance suite: `--certification`
    conformance_suite.py   its plans, and the files that configure it: our pages as its browser goes through them

    relying_party.py   create_relying_party(config) -> Flask: "Atosi" and "Rapportages", which hand their login over
    mailbox.py         an SMTP server that keeps what it receives, and a page that shows it
    pages.py           headers and folders that the three have in common; templates/ and static/ hold their look
    server.py          one of these applications on a port

The second group knows the provider by its issuer only, and imports nothing of it except the kernel's clock; logging
in and out, sessions, notices and reports of activity are those of `idp_kit` in `clients/python`.

    browser -> /login -> provider ... -> /callback -> code exchange -> ID token verified -> userinfo -> / "Welkom"
            -> /logout (POST) -> provider's end_session_endpoint -> /signed-out
    provider -> /session/backchannel-logout: the session ended, wherever that was
"""
