"""What is still to be sent: one row for each message, written in the transaction of the fact that it tells about.

    models.py    OutboxMessage
    queue.py     enqueue, enqueue_all
    care.py      what an administrator sees of it, and trying again by hand

A row that is there will be sent at least once by the worker; work that was rolled back leaves none.
"""
