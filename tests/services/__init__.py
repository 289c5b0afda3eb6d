"""The real parts that tests run against, as plain classes and functions; fixtures stand in `conftest.py`.

postgresql.py   a PostgreSQL server from a wheel, one for a whole test run, gone when the last test process is
smtp.py         an SMTP server that keeps what it is given, and ones that do not do what they should
certificates.py certificates for TLS servers, made on the spot
chromium.py     the browser and how to start it
node.py         Node and npm from a wheel, and `npm ci` into a cache
processes.py    a command as a child process: its output, its answer on a URL, its end
ports.py        free TCP ports on the loopback address

A part that does not start raises and says why; nothing is skipped and nothing is imitated.
"""
