"""What an answer to a prompt does.

    door.py                   Answers.advance: THE ONE DOOR, and the table of answers
    identify.py               organisation code, username and password; which account it is to be
    verify_second_factor.py   a code of an enrolled method, another method, a new code by mail
    enrol_second_factor.py    choosing a method and proving it for the first time
    postpone.py               the other answer to that prompt: not now
    consent.py                yes or no to an application
    sending.py                codes that travel: when one goes, to whom, and what the page knows of it
    common.py                 what all answers share

Each answer goes the same way: what can be seen to be wrong without the secret costs nothing; an attempt is paid and
committed; it is verified with no transaction open; what it proves is recorded by `flow.record`, which reads the list
again.
"""
