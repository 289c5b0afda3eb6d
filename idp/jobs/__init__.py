"""What happens without anybody asking: `idp worker`, or beside `idp serve` in the embedded set-up.

    worker.py                 Worker: runs each task when it is due, one after the other, until it is told to stop
    schedule.py               the tasks, and how often each is due
    send_mail.py              hands letters from the outbox to the mail relay, in a thread of its own
    after_restore.py          asked for once: nothing that a backup brought to life again counts
    campaign_mails.py         tells people by mail that their last day for postponing comes near
    sweep_idle_sessions.py    ends sessions that are over by the clock, so that their clients are told
    deliver_logout_notices.py tells them, in a thread of its own and many that wait for the network
    notice_claims.py          which notices are tried now, and what became of each try: the statements
    troubled_clients.py       which clients do not take their notices well, and get them slowly
    purge_expired.py          deletes what nobody needs any more; how long every table keeps its rows

Every task may run on several machines at once and at any moment be cut off: it works in small units, each complete.
"""
