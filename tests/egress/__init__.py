"""What idp calls over HTTP, against real servers on this machine.

receivers.py    a server that keeps what it was sent, and answers as a test wants: with a status, late, drop by drop
"""
