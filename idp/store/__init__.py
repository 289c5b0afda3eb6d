"""Where facts are kept: SQLite on one machine, PostgreSQL for more than one node; the same models and migrations.

    base.py      Base (declarative), UtcDateTime and Duration columns, names for constraints
    engine.py    db, the session holder (Flask-SQLAlchemy), and how connections of each database are set up
    units.py     UnitsOfWork: `reading` (writing raises) and `writing`; no statement runs outside of one
    dialects.py  the one statement that the databases spell differently
    rows.py      one row, written by a statement that is made once
    clock.py     DatabaseClock: the time of the PostgreSQL server, so that all nodes agree
    schema.py    migrations: upgrade, and what differs between the models and a database

Use cases (`signin`, `admin`, the endpoints of `oidc`, jobs) open units of work; capabilities (`accounts`, `factors`,
`sessions`, `consents`) work in the one that is open, and never commit.
"""
