"""The command line, `idp`: composition for people and scripts. Exit codes: 0 done, 1 fault, 2 usage, 3 a check failed.

    base.py             the group of commands, errors as one sentence, output for people or as JSON
    values.py           dates, durations and passwords as they are given on a command line
    main.py             the root command and its state; `demo` is joined when its extras are installed
    set_up.py           init, db upgrade, db check, db restored
    serving.py          serve and worker
    administration.py   org, user, keys: a thin face of `admin`
    clients.py          client add, client set, client list, client show
    client_tokens.py    client token add, list, revoke: who may register applications
    appearance.py       org set-logo, and the options of org set about colour, privacy statement and texts
    campaign.py         campaign simulate: who would meet what on a day
    service_desk.py     user show, reset, undo-reset, lift-wait, extend, set, block, unblock
    sessions.py         session list, session show, session end
    offline_access.py   session offline list, session offline end
    audit.py            audit list, audit verify, audit head
    metrics.py          which process serves figures
    outbox.py           outbox list, outbox retry
    logs.py             what is written to standard error, for machines or for people

No secret is ever an argument: it comes from standard input, a file, the environment or a hidden prompt. Nothing asks
without a terminal.
"""

from idp.cli.main import main

__all__ = ["main"]
