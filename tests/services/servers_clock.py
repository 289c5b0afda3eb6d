"""The clock of a PostgreSQL server, set for one of its databases: every later connection to it sees the time moved."""

from datetime import timedelta

from sqlalchemy import create_engine, text


class ServersClock:
    """What `clock_timestamp()` says in one database, from connections that are made after this."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
        # A function of that name stands before the server's own.
        self._run("CREATE TABLE moved (distance interval)")
        self._run("INSERT INTO moved VALUES (interval '0')")
        self._run(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            "'SELECT pg_catalog.clock_timestamp() + distance FROM public.moved'"
        )
        self._run(f'ALTER DATABASE "{self._engine.url.database}" SET search_path = public, pg_catalog')

    def set_by(self, distance: timedelta) -> None:
        """The clock is set, forward or back."""
        self._run("UPDATE public.moved SET distance = distance + :more", more=distance)

    def close(self) -> None:
        self._engine.dispose()

    def _run(self, statement: str, **values: timedelta) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement), values)
