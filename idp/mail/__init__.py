"""Letters to people, by e-mail.

    letters.py    Letter, and one function for each message that there is
    post.py       Post: puts a letter in the outbox, and says what became of it

A letter is sealed in the outbox, in the transaction of the fact that it tells about. The worker sends it
(`jobs.send_mail`).
"""
