"""Measures DBOS on SQLite: a workflow of three steps, one at a time, in process. Prints one line of JSON.

The workflow does in DBOS what the measured run does in Bedplate: three steps that each return a small value, each
recorded before the next begins. Two ways to run it are timed: the plain call, which is the fastest that DBOS has, and
a start in the background whose result is then awaited, which is how a server would run it. SQLite's settings are
DBOS's own; the journal mode is reported.
"""

import argparse
import json
import logging
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version

from dbos import DBOS


@DBOS.step()
def one(number: int) -> int:
    return 1


@DBOS.workflow()
def three_steps() -> int:
    return one(0) + one(1) + one(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="runs that are timed")
    parser.add_argument("--warmup", type=int, default=10, help="runs before them that are not")
    parser.add_argument("--seconds", type=float, default=15, help="stop timing each way after this long")
    parser.add_argument("--tmp", default=None, help="where the temporary data folder is made")
    options = parser.parse_args()

    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="dbos-", dir=options.tmp) as folder:
        database = os.path.join(folder, "system.sqlite")
        DBOS(
            config={
                "name": "bench",
                "system_database_url": f"sqlite:///{database}",
                "run_admin_server": False,
                "enable_otlp": False,
                "log_level": "ERROR",
            }
        )
        DBOS.launch()
        try:
            direct = timed_runs(options, three_steps)
            started = timed_runs(options, lambda: DBOS.start_workflow(three_steps).get_result())
        finally:
            DBOS.destroy()
        rows, journal_mode = recorded(database)

    # Each timed or warming run must have left its three steps in the database, else it was not durable.
    expected = 3 * (2 * options.warmup + len(direct) + len(started))
    if rows != expected:
        raise SystemExit(f"{rows} steps were recorded, not {expected}")
    print(
        json.dumps(
            {
                "peer": "dbos",
                "version": version("dbos"),
                "runs": len(direct),
                "three_steps_p50_ms": round(statistics.median(direct), 3),
                "three_steps_p99_ms": round(p99(direct), 3),
                "started_runs": len(started),
                "started_three_steps_p50_ms": round(statistics.median(started), 3),
                "started_three_steps_p99_ms": round(p99(started), 3),
                "steps_recorded": rows,
                "journal_mode": journal_mode,
            }
        )
    )


def timed_runs(options: argparse.Namespace, run: Callable[[], int]) -> list[float]:
    """Returns the milliseconds of each timed run, after the warming ones."""
    for _ in range(options.warmup):
        run()
    times = []
    end = time.perf_counter() + options.seconds
    while len(times) < options.runs and time.perf_counter() < end:
        begin = time.perf_counter()
        if run() != 3:
            raise SystemExit("a run gave a wrong result")
        times.append((time.perf_counter() - begin) * 1000)
    return times


def p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def recorded(database: str) -> tuple[int, str]:
    """Returns how many steps the database holds, and its journal mode."""
    connection = sqlite3.connect(database)
    try:
        (rows,) = connection.execute("SELECT count(*) FROM operation_outputs").fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    finally:
        connection.close()
    return rows, mode


if __name__ == "__main__":
    main()
