"""What the paths cost that every sign-in, every renewal and every call of an application takes.

    python -m bench.hot_paths                    on each kind of database, this checkout alone
    python -m bench.hot_paths --against main~5   and the checkout of another revision, in the same run, alternately
    python -m bench.hot_paths --quick            few requests: to see that it runs

Everything is real: `idp serve` with one worker process, connections that stay open, PostgreSQL or a SQLite file. Times
depend on the machine and on what else it does, so compare within a run: each path is measured in rounds, the revisions
take turns, and a ratio comes with the smallest and the largest of any round. `--against` the same revision tells how
large the noise is. Statements do not depend on the machine. `cpu` is the processor time of the provider alone, without
PostgreSQL, and the steadiest of the times. PostgreSQL runs as in the tests, without waiting for the disk; SQLite waits.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.installations import ROOT, Installation, checkout
from bench.paths import PATHS, Connection, Timed, counted, timed
from idp.kernel.clock import ticks
from tests.services.postgresql import session_postgresql

HERE = "this checkout"


@dataclass(frozen=True)
class Plan:
    """So many rounds of so many requests over each of so many connections."""

    rounds: int
    requests: int
    connections: int


@dataclass(frozen=True)
class Figures:
    """One path of one revision: milliseconds, and how many in a second; `statements` of each request of the path."""

    database: str
    revision: str
    path: str
    connections: int
    requests: int
    p50: float
    p95: float
    per_second: float
    cpu: float
    statements: str


@dataclass(frozen=True)
class Ratio:
    """A path here to the other revision, of requests in a second and of processor time; least and most of any round."""

    database: str
    path: str
    connections: int
    per_second: float
    least: float
    most: float
    cpu: float


@dataclass(frozen=True)
class Side:
    """A revision that is measured: its connections, and what each path asked of the database."""

    name: str
    installation: Installation
    connections: Sequence[Connection]
    statements: Mapping[str, str]


def measured(
    kind: str, urls: Iterator[str], roots: Mapping[str, Path], plan: Plan
) -> tuple[list[Figures], list[Ratio]]:
    """Every path on every side, over one connection and over all."""
    with ExitStack() as stack:
        sides = [stack.enter_context(side(name, root, next(urls), plan.connections)) for name, root in roots.items()]
        figures: list[Figures] = []
        ratios: list[Ratio] = []
        for name, path in PATHS.items():
            for connections in sorted({1, plan.connections}):
                rounds: dict[str, list[Timed]] = {each.name: [] for each in sides}
                for number in range(plan.rounds):
                    # Who comes first changes each round.
                    for each in sides if number % 2 == 0 else reversed(sides):
                        some = each.connections[:connections]
                        rounds[each.name].append(timed(each.installation, some, path, plan.requests))
                figures += [
                    summed_up(kind, each.name, name, connections, rounds[each.name], each.statements[name])
                    for each in sides
                ]
                if len(sides) > 1:
                    ratios.append(ratio(kind, name, connections, *(rounds[each.name] for each in sides)))
        return figures, ratios


@contextmanager
def side(name: str, root: Path, database_url: str, connections: int) -> Iterator[Side]:
    """The checkout is served, with one person who is signed in for each connection."""
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        installation = Installation(root, database_url, Path(folder), threads=4)
        installation.set_up(connections)
        with installation.served(counting=True):
            counting = Connection(installation, installation.sign_in(0))
            statements = {path: counted(counting, act) for path, act in PATHS.items()}
            counting.close()
        with installation.served():
            opened = [Connection(installation, installation.sign_in(number)) for number in range(connections)]
            yield Side(name, installation, opened, statements)
            for connection in opened:
                connection.close()


def summed_up(
    kind: str, revision: str, path: str, connections: int, rounds: Sequence[Timed], statements: str
) -> Figures:
    each = sorted(seconds for one in rounds for seconds in one.each)
    return Figures(
        database=kind,
        revision=revision,
        path=path,
        connections=connections,
        requests=len(each),
        p50=milliseconds(median(each)),
        p95=milliseconds(each[min(len(each) - 1, int(len(each) * 0.95))]),
        per_second=round(len(each) / sum(one.all for one in rounds), 1),
        cpu=milliseconds(sum(one.cpu for one in rounds) / len(each)),
        statements=statements,
    )


def ratio(kind: str, path: str, connections: int, here: Sequence[Timed], there: Sequence[Timed]) -> Ratio:
    of_rounds = [theirs.all / ours.all for ours, theirs in zip(here, there, strict=True)]
    ours, theirs = (sum(one.cpu for one in rounds) for rounds in (here, there))
    least, middle, most = min(of_rounds), median(of_rounds), max(of_rounds)
    cpu = ours / theirs if theirs else 0.0
    return Ratio(kind, path, connections, *(round(each, 2) for each in (middle, least, most, cpu)))


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


@contextmanager
def databases(wanted: str | None) -> Iterator[dict[str, Iterator[str]]]:
    """Addresses of empty databases of each kind that is wanted."""
    with ExitStack() as stack:
        found: dict[str, Iterator[str]] = {}
        if wanted in (None, "sqlite"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="idp-bench-"))
            found["sqlite"] = (f"sqlite:///{folder}/{number}.db" for number in range(2))
        if wanted in (None, "postgresql"):
            server = stack.enter_context(session_postgresql())
            found["postgresql"] = (server.create_database(f"bench_{number}") for number in range(2))
        yield found


def table(figures: Sequence[Figures], ratios: Sequence[Ratio]) -> str:
    """For people. `statements` reads: so many statements in so many units of work, request by request."""
    head = f"{'database':<11}{'path':<31}{'conn':>4}{'p50 ms':>9}{'p95 ms':>9}{'per s':>8}{'cpu ms':>8}  statements"
    lines = [head]
    for each in figures:
        line = f"{each.database:<11}{each.path:<31}{each.connections:>4}{each.p50:>9.2f}{each.p95:>9.2f}"
        line += f"{each.per_second:>8.0f}{each.cpu:>8.2f}  {each.statements}"
        lines.append(line if not ratios else f"{line}  ({each.revision})")
    for one in ratios:
        lines.append(
            f"{one.database:<11}{one.path:<31}{one.connections:>4}  {one.per_second:.2f} times as many in a second"
            f" ({one.least:.2f} to {one.most:.2f}), {one.cpu:.2f} of the cpu"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the hot paths cost.")
    parser.add_argument("--quick", action="store_true", help="one round of 3 requests over 2 connections")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=60, help="of each connection in each round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    parser.add_argument("--against", metavar="REV", help="another revision, in the same run")
    given = parser.parse_args(arguments)
    plan = Plan(1, 3, 2) if given.quick else Plan(given.rounds, given.requests, given.connections)
    # Whoever ends it early leaves no server and no checkout behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = ticks()
    with ExitStack() as stack:
        roots = {HERE: ROOT}
        if given.against:
            roots[given.against] = stack.enter_context(checkout(given.against))
        figures: list[Figures] = []
        ratios: list[Ratio] = []
        for kind, urls in stack.enter_context(databases(given.database)).items():
            more, compared = measured(kind, urls, roots, plan)
            figures += more
            ratios += compared
            for line in [asdict(each) for each in more] + [asdict(each) for each in compared]:
                print(json.dumps(line), flush=True)
    print(f"\n{table(figures, ratios)}\n\n{(ticks() - began).total_seconds():.0f} seconds in all")


if __name__ == "__main__":
    main()
