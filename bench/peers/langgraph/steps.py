"""Measures LangGraph with its SQLite saver, in process and one run at a time. Prints one line of JSON.

A run is a chain of nodes that each set one small value; `durability="sync"` makes every node's checkpoint durable
before the next node starts. SQLite's settings are the saver's own (WAL, and SQLite's default `synchronous=FULL`),
and are reported.
"""

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from importlib.metadata import version
from typing import TypedDict

os.environ["LANGSMITH_TRACING"] = "false"

from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402


class Count(TypedDict):
    done: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each length of run is measured")
    parser.add_argument("--tmp", default=None, help="where the temporary data folder is made")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="langgraph-", dir=options.tmp) as folder:
        connection = sqlite3.connect(os.path.join(folder, "checkpoints.sqlite"), check_same_thread=False)
        saver = SqliteSaver(connection)
        saver.setup()
        three = timed_runs(chain(3, saver), 3, options.seconds)
        ten = timed_runs(chain(10, saver), 10, options.seconds)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        connection.close()

    print(
        json.dumps(
            {
                "peer": "langgraph",
                "version": version("langgraph"),
                "saver_version": version("langgraph-checkpoint-sqlite"),
                "durability": "sync",
                "journal_mode": mode,
                "synchronous": synchronous,
                "runs_of_3": len(three),
                "runs_of_10": len(ten),
                "steps_per_s_3_nodes": round(3 * 1000 * len(three) / sum(three), 1),
                "steps_per_s_10_nodes": round(10 * 1000 * len(ten) / sum(ten), 1),
                "three_steps_p50_ms": round(statistics.median(three), 3),
                "ten_steps_p50_ms": round(statistics.median(ten), 3),
            }
        )
    )


def chain(nodes: int, saver: SqliteSaver):
    """Returns a compiled graph of `nodes` nodes, one after the other."""
    graph = StateGraph(Count)
    previous = START
    for index in range(nodes):
        name = f"step{index}"
        graph.add_node(name, lambda state: {"done": state["done"] + 1})
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph.compile(checkpointer=saver)


def timed_runs(graph, nodes: int, seconds: float) -> list[float]:
    """Returns the milliseconds of each run in `seconds`, after twenty that are not timed; each run is a new thread."""
    times = []
    end = None
    for number in range(1_000_000_000):
        if number == 20:
            end = time.perf_counter() + seconds
        if end is not None and time.perf_counter() >= end:
            return times
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        begin = time.perf_counter()
        result = graph.invoke({"done": 0}, config, durability="sync")
        if end is not None:
            times.append((time.perf_counter() - begin) * 1000)
        if result["done"] != nodes:
            raise SystemExit(f"a run of {nodes} nodes gave {result}")
    return times


if __name__ == "__main__":
    main()
