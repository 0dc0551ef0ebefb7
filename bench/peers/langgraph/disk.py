"""Measures what a conversation costs on disk in LangGraph with its SQLite saver. Prints one line of JSON.

One thread, one node that answers. A turn is 2,048 bytes of text: 1,024 from the user and 1,024 in reply, both base64
of random bytes, which do not compress further than base64 itself. Disk bytes are the database and its sidecars after
`PRAGMA wal_checkpoint(TRUNCATE)`.

Every checkpoint holds the whole conversation, so the cost grows with the square of the turns and 2,000 of them would
be many gigabytes. The run therefore stops at a limit of turns, bytes or seconds (`stopped_by` says at which), fits
bytes = a·turns² + b·turns to what it measured, and marks every figure that comes from the fit as extrapolated.
"""

import argparse
import base64
import json
import os
import sqlite3
import tempfile
import time
from importlib.metadata import version

os.environ["LANGSMITH_TRACING"] = "false"

from langchain_core.messages import AIMessage, HumanMessage  # noqa: E402
from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.graph import END, START, MessagesState, StateGraph  # noqa: E402

MESSAGE_BYTES = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", default="200,2000", help="the lengths asked for, ascending (default 200,2000)")
    parser.add_argument("--cap-turns", type=int, default=600, help="measure no more turns than this (0: no limit)")
    parser.add_argument("--cap-bytes", type=int, default=2_000_000_000, help="stop when the disk holds this much")
    parser.add_argument("--cap-seconds", type=float, default=60, help="stop after this long")
    parser.add_argument("--tmp", default=None, help="where the temporary data folder is made")
    options = parser.parse_args()
    wanted = [int(turns) for turns in options.turns.split(",")]

    with tempfile.TemporaryDirectory(prefix="langgraph-", dir=options.tmp) as folder:
        points, seconds, stopped_by = converse(os.path.join(folder, "checkpoints.sqlite"), wanted, options)

    square, linear = fit(points)
    measured = dict(points)
    print(
        json.dumps(
            {
                "peer": "langgraph",
                "version": version("langgraph"),
                "saver_version": version("langgraph-checkpoint-sqlite"),
                "bytes_a_turn": 2 * MESSAGE_BYTES,
                "seconds": round(seconds, 1),
                "stopped_by": stopped_by,
                "measured": [{"turns": turns, "disk_bytes": size} for turns, size in points],
                "fit": {"bytes_per_turn_squared": round(square, 2), "bytes_per_turn": round(linear, 1)},
                "results": [result(turns, measured.get(turns), square, linear) for turns in wanted],
            }
        )
    )


def result(turns: int, disk: int | None, square: float, linear: float) -> dict:
    """Returns the figures for one asked length, measured where it was reached and otherwise from the fit."""
    content = turns * 2 * MESSAGE_BYTES
    size = disk if disk is not None else round(square * turns * turns + linear * turns)
    return {
        "turns": turns,
        "content_bytes": content,
        "disk_bytes": size,
        "ratio": round(size / content, 2),
        "extrapolated": disk is None,
    }


def converse(database: str, wanted: list[int], options: argparse.Namespace) -> tuple[list, float, str]:
    """Holds the conversation and returns (turns, bytes) at each hundred, the seconds it took, and why it stopped."""
    connection = sqlite3.connect(database, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    graph = StateGraph(MessagesState)
    graph.add_node("reply", lambda state: {"messages": [AIMessage(random_text())]})
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    agent = graph.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "bench"}}

    points: list[tuple[int, int]] = []
    begin = time.perf_counter()
    stopped_by = "end"
    for turn in range(1, max(wanted) + 1):
        state = agent.invoke({"messages": [HumanMessage(random_text())]}, config, durability="sync")
        if len(state["messages"]) != 2 * turn:
            raise SystemExit(f"after {turn} turns the thread holds {len(state['messages'])} messages")
        if turn % 50 == 0 or turn in wanted:
            points.append((turn, disk_bytes(connection, database)))
        if turn < max(wanted) and len(points) >= 2:
            stopped_by = limit_reached(options, turn, points[-1][1], time.perf_counter() - begin)
            if stopped_by != "end":
                break
    seconds = time.perf_counter() - begin
    if points[-1][0] != turn:
        points.append((turn, disk_bytes(connection, database)))
    connection.close()
    return points, seconds, stopped_by


def limit_reached(options: argparse.Namespace, turn: int, size: int, seconds: float) -> str:
    if options.cap_turns and turn >= options.cap_turns:
        return "turns"
    if size >= options.cap_bytes:
        return "bytes"
    if seconds >= options.cap_seconds:
        return "seconds"
    return "end"


def random_text() -> str:
    return base64.b64encode(os.urandom(MESSAGE_BYTES * 3 // 4)).decode()


def disk_bytes(connection: sqlite3.Connection, database: str) -> int:
    """Returns the bytes of the database and its sidecars once the write-ahead log has been moved into it."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise SystemExit("the write-ahead log could not be checkpointed")
    files = (database, database + "-wal", database + "-shm")
    return sum(os.path.getsize(path) for path in files if os.path.exists(path))


def fit(points: list[tuple[int, int]]) -> tuple[float, float]:
    """Returns the a and b of bytes = a·n² + b·n that fit the points best (least squares)."""
    s4 = sum(n**4 for n, _ in points)
    s3 = sum(n**3 for n, _ in points)
    s2 = sum(n**2 for n, _ in points)
    y2 = sum(size * n**2 for n, size in points)
    y1 = sum(size * n for n, size in points)
    determinant = s4 * s2 - s3 * s3
    if determinant == 0:
        return 0.0, y1 / s2
    return (y2 * s2 - y1 * s3) / determinant, (y1 * s4 - y2 * s3) / determinant


if __name__ == "__main__":
    main()
