"""Letters to people, by e-mail.

    letters.py     Letter, and one function for each message that there is
    post.py        Post: puts a letter in the outbox, and says what became of it
    rendering.py   a letter becomes subject, text and HTML, in its own language
    relay.py       Relay: hands a message to the mail relay, which has to prove who it is and to answer in time
    failures.py    why a relay did not take a message, in words that hold nothing of it

A letter is sealed in the outbox, in the transaction of the fact that it tells about. The worker sends it
(`jobs.send_mail`); nothing else talks to the relay.
"""
