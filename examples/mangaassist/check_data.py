#!/usr/bin/env python3
"""Checks this folder's data and tools with nothing but Python's standard library (3.11 or later).

    python3 check_data.py

Builds the shop's database as the platform does at first start, runs the SQL of every tool against it, and asserts what
the example promises: ownership, age ratings, return rules, and a search that no input can break.
"""

import csv
import importlib.util
import json
import re
import sqlite3
import sys
import tempfile
import tomllib
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
CALLERS = ("web-user", "user123", "alice", "bob")
CASES = json.loads((HERE / "check_cases.json").read_text("utf-8"))
RESERVED = {"caller_user", "now", "today", "idempotency_key"}
checks = 0
sys.dont_write_bytecode = True


def check(condition, text):
    """Counts one assertion and stops with `text` when it does not hold."""
    global checks
    checks += 1
    if not condition:
        raise SystemExit(f"FAILED: {text}")


def utc_today():
    """Returns today as SQLite and the platform see it."""
    return datetime.now(timezone.utc).date()


def build(path, today=None):
    """Builds the database from bedplate.toml's seed list: .sql is run, .csv fills the table of its stem.

    `today` pretends that the first start is on that day.
    """
    db = sqlite3.connect(path)
    db.execute("PRAGMA foreign_keys = ON")
    for seed in tomllib.loads((HERE / "bedplate.toml").read_text("utf-8"))["databases"]["shop"]["seed"]:
        file = HERE / seed
        if file.suffix == ".sql":
            sql = file.read_text("utf-8")
            db.executescript(sql.replace("'now'", f"'{today}'") if today else sql)
            continue
        with open(file, newline="", encoding="utf-8") as text:
            header, *rows = csv.reader(text)
        names, marks = ", ".join(f'"{name}"' for name in header), ", ".join("?" * len(header))
        db.executemany(
            f'INSERT INTO "{file.stem}" ({names}) VALUES ({marks})', [[v or None for v in row] for row in rows]
        )
        db.commit()
    db.commit()
    return db


def only_reads(action, first, second, _database, _source):
    """Allows what a read-only tool may do: reading, and the one pragma that full-text search needs."""
    reads = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION)
    version = action == sqlite3.SQLITE_PRAGMA and first == "data_version" and second is None
    # Releases before the platform's ask this when they open a virtual table; the file is opened read-only all the same.
    opens = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master" and sqlite3.sqlite_version_info < (3, 50)
    return sqlite3.SQLITE_OK if action in reads or version or opens else sqlite3.SQLITE_DENY


class Shop:
    """Runs tools as formats.md describes: parameters bound by name, a writing tool's statements in one transaction."""

    def __init__(self, path, today=None):
        self.today = today or utc_today().isoformat()
        self.rw = sqlite3.connect(path, isolation_level=None)
        self.rw.execute("PRAGMA foreign_keys = ON")
        self.ro = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.ro.set_authorizer(only_reads)
        self.tools = {f.stem: tomllib.loads(f.read_text("utf-8")) for f in sorted((HERE / "tools").glob("*.toml"))}
        self.keys = 0

    def bind(self, sql, tool, user, given, key=None):
        now = datetime.now(timezone.utc)
        platform = {
            "caller_user": user,
            "now": now.isoformat(timespec="seconds"),
            "today": self.today,
            "idempotency_key": key,
        }
        declared = self.tools[tool]["input_schema"]["properties"]
        values = {}
        for name in parameters(sql):
            value = platform[name] if name in RESERVED else given.get(name)
            check(name in RESERVED or name in declared, f"{tool}: :{name} is neither an input nor the platform's")
            values[name] = json.dumps(value) if isinstance(value, (list, dict)) else value
        return values

    def rows(self, db, sql, tool, user, given, key=None):
        cursor = db.execute(sql, self.bind(sql, tool, user, given, key))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def read(self, tool, user="web-user", **given):
        """Runs a read-only tool on the read-only connection, and holds it to its limits."""
        spec = self.tools[tool]
        rows = self.rows(self.ro, spec["sqlite"]["query"], tool, user, given)
        check(len(rows) <= spec["sqlite"]["max_rows"], f"{tool}: more than max_rows rows")
        check(len(json.dumps(rows)) <= spec["max_result_bytes"], f"{tool}: result over max_result_bytes")
        return rows

    def preview(self, tool, user, **given):
        return self.rows(self.ro, self.tools[tool]["approval"]["preview"]["query"], tool, user, given)

    def write(self, tool, user, **given):
        """Runs a writing tool. Returns (rows, None), or (None, message) when a statement changed too little."""
        spec, self.keys = self.tools[tool]["sqlite"], self.keys + 1
        key = f"check-{self.keys}"
        self.rw.execute("BEGIN IMMEDIATE")
        for statement in spec["statements"]:
            changed = self.rw.execute(statement["sql"], self.bind(statement["sql"], tool, user, given, key)).rowcount
            if "changes" in statement and changed != statement["changes"]:
                self.rw.execute("ROLLBACK")
                return None, statement.get("otherwise", f"{changed} rows changed")
        rows = self.rows(self.rw, spec["result"], tool, user, given, key)
        self.rw.execute("COMMIT")
        return rows, None


def parameters(sql):
    """Returns the names bound in `sql`; what stands in quotes or comments is not a parameter."""
    bare = re.sub(r"'(?:[^']|'')*'|--[^\n]*", " ", sql)
    return set(re.findall(r":([A-Za-z_][A-Za-z0-9_]*)", bare))


def check_data(db):
    one = lambda sql, *args: db.execute(sql, args).fetchone()[0]
    counts = {
        t: one(f"SELECT count(*) FROM {t}")
        for t in (
            "titles",
            "authors",
            "genres",
            "customers",
            "orders",
            "order_items",
            "shipments",
            "returns",
            "policies",
            "knowledge",
        )
    }
    check(counts["titles"] >= 500, "at least 500 titles")
    check(counts["customers"] >= 60 and counts["orders"] >= 220 and counts["knowledge"] >= 40, f"enough rows: {counts}")
    check(not db.execute("PRAGMA foreign_key_check").fetchall(), "foreign keys hold")
    check(one("PRAGMA integrity_check") == "ok", "integrity holds")
    check(one("SELECT count(DISTINCT description) FROM titles") == counts["titles"], "no description is used twice")
    check(one("SELECT min(length(description)) FROM titles") >= 30, "no description is a stub")
    check(one("SELECT count(*) FROM titles_fts") == counts["titles"], "every title is in the full-text table")
    check(
        one(
            "SELECT count(*) FROM genres WHERE (SELECT count(*) FROM title_genres g JOIN titles t ON t.id = g.title_id "
            "WHERE g.genre = genres.name AND t.stock > 0) < 8"
        )
        == 0,
        "every genre has something in stock",
    )
    for table, column in (("orders", "placed_on"), ("shipments", "delivered_on"), ("returns", "refunded_on")):
        newest = one(f"SELECT max({column}) FROM {table}")
        check(
            (utc_today() - timedelta(days=3)).isoformat() <= newest <= (utc_today() + timedelta(days=1)).isoformat()
            or table == "returns"
            and newest <= utc_today().isoformat(),
            f"{table}.{column} is fresh: {newest}",
        )
    check(
        one(
            "SELECT count(*) FROM orders o JOIN shipments s ON s.order_id = o.id WHERE NOT (o.placed_on <= s.shipped_on "
            "AND s.shipped_on <= coalesce(s.delivered_on, s.eta_on))"
        )
        == 0,
        "parcels travel forwards in time",
    )
    check(
        one(
            "SELECT count(*) FROM orders o LEFT JOIN shipments s ON s.order_id = o.id WHERE "
            "(o.status IN ('delivered', 'returned')) <> (s.delivered_on IS NOT NULL)"
        )
        == 0,
        "delivered orders have a date",
    )
    check(
        one("SELECT count(*) FROM order_items i JOIN titles t ON t.id = i.title_id WHERE i.volume > t.volumes") == 0,
        "volumes exist",
    )
    check(
        one(
            "SELECT count(*) FROM order_items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id "
            "JOIN titles t ON t.id = i.title_id WHERE t.min_age = 18 AND CAST(strftime('%Y', 'now') AS INTEGER) - c.birth_year < 18"
        )
        == 0,
        "no minor has bought a mature title",
    )
    for who in CALLERS:
        states = {row[0] for row in db.execute("SELECT DISTINCT status FROM orders WHERE customer_id = ?", (who,))}
        check(
            states == {"processing", "shipped", "delivered", "cancelled", "returned"},
            f"{who} has an order of every status",
        )
    return counts


def check_files(shop):
    """The agents name tools that exist, and every schema describes what it asks for."""
    for agent in sorted((HERE / "agents").glob("*.md")):
        front = agent.read_text("utf-8").split("---")[1]
        for tool in re.search(r"^tools: \[(.*)\]$", front, re.M).group(1).split(", "):
            check(tool in shop.tools or tool in ("calculate", "current_time"), f"{agent.name}: no tool {tool}")
    for name, tool in shop.tools.items():
        check(40 <= len(tool["description"]) <= 700, f"{name}: description")
        schema = tool["input_schema"]
        check(schema["additionalProperties"] is False and not RESERVED & set(schema["properties"]), f"{name}: schema")
        check(set(schema.get("required", [])) <= set(schema["properties"]), f"{name}: required")
        used = parameters(json.dumps(tool["sqlite"]))
        for prop, rule in schema["properties"].items():
            check(rule.get("description"), f"{name}.{prop}: no description")
            check(prop in used or f":{prop}" in str(tool), f"{name}.{prop}: never used")
            for example in rule.get("examples", []):
                check("pattern" not in rule or re.search(rule["pattern"], example), f"{name}.{prop}: example {example}")
        check(
            tool["annotations"]["read_only"] == ("query" in tool["sqlite"]), f"{name}: read_only and query go together"
        )
        sql = str({key: tool["sqlite"].get(key) for key in ("query", "statements", "result")}) + str(
            tool.get("approval")
        )
        scoped = re.search(
            r"\b(FROM|JOIN|UPDATE|INTO) (orders|customers|order_items|shipments|returns|return_items)\b", sql
        )
        check(not scoped or ":caller_user" in sql, f"{name}: not bound to the caller")
    genres = {row[0] for row in shop.ro.execute("SELECT name FROM genres")}
    for name in ("search_catalogue", "recommend_titles"):
        check(set(shop.tools[name]["input_schema"]["properties"]["genre"]["enum"]) == genres, f"{name}: genre enum")


def check_search(shop):
    def first(tool, column, **given):
        rows = shop.read(tool, **given)
        return rows[0][column] if rows else None

    for query, title in CASES["search"]:
        check(
            first("search_catalogue", "title", query=query) == title,
            f"search {query!r}: {first('search_catalogue', 'title', query=query)}",
        )
    check(
        len(shop.read("search_catalogue", query="scary stories", max_price=10)) >= 3, "scary stories under 10 dollars"
    )
    check(len(shop.read("search_catalogue")) == 8, "browsing without words")
    for row in shop.read(
        "search_catalogue", query="cooking", genre="food", max_price=9.99, age_rating="all", in_stock=True
    ):
        check(
            row["price_usd"] <= 9.99
            and row["age_rating"] == "all"
            and "food" in row["genres"]
            and row["availability"].startswith("in stock"),
            f"filters: {row}",
        )
    author = shop.ro.execute("SELECT author FROM catalogue WHERE id = 40").fetchone()[0]
    check(
        all(author in (row["author"], row["artist"]) for row in shop.read("recommend_titles", author=author)),
        "recommend by author",
    )
    check(author in {row["author"] for row in shop.read("search_catalogue", query=author)}, "search by author")
    for (title,) in shop.ro.execute("SELECT title FROM titles WHERE min_age < 18"):
        check(first("title_details", "title", title=title) == title, f"title_details finds {title}")
    check(
        first("title_details", "title", title="How many volumes does Miso Moon have?") == "Miso Moon",
        "a title inside a question",
    )
    check(
        first("title_details", "title", title="noodle lantern") == "The Lantern Street Noodle Stand",
        "a title half remembered",
    )
    for query, term in CASES["knowledge"]:
        check(
            first("search_knowledge", "term", query=query) == term,
            f"knowledge {query!r}: {first('search_knowledge', 'term', query=query)}",
        )
    for topic, found in CASES["policy"]:
        check(
            first("store_policy", "topic", topic=topic) == found,
            f"policy {topic!r}: {first('store_policy', 'topic', topic=topic)}",
        )
    before = shop.ro.execute("SELECT count(*) FROM titles").fetchone()
    for text in CASES["hostile"]:
        for tool, prop in [
            ("search_catalogue", "query"),
            ("title_details", "title"),
            ("recommend_titles", "author"),
            ("store_policy", "topic"),
            ("search_knowledge", "query"),
            ("order_status", "order_id"),
            ("list_my_orders", "status"),
        ]:
            try:
                shop.read(tool, **{prop: text})
            except sqlite3.Error as error:
                raise SystemExit(f"FAILED: {tool}({text!r}): {error}") from None
    check(shop.ro.execute("SELECT count(*) FROM titles").fetchone() == before, "hostile input changed nothing")
    check(
        not shop.read("search_catalogue", query="🍜") and not shop.read("order_status", order_id="' OR 1=1 --"),
        "hostile input finds nothing",
    )


def check_ages(shop):
    for tool in ("search_catalogue", "recommend_titles"):
        for user in ("bob", "nobody-we-know"):
            for genre in shop.tools[tool]["input_schema"]["properties"]["genre"]["enum"]:
                check(
                    all(row["age_rating"] != "mature" for row in shop.read(tool, user, genre=genre)),
                    f"{tool}: mature title for {user}",
                )
    check(
        not shop.read("search_catalogue", "bob", query="Teeth Like Rice", age_rating="mature"),
        "a minor asks for mature titles",
    )
    check(
        not [r for r in shop.read("title_details", "bob", title="Teeth Like Rice") if r["age_rating"] == "mature"],
        "a minor asks for a mature title",
    )
    check(
        shop.read("title_details", "alice", title="Teeth Like Rice")[0]["age_rating"] == "mature", "an adult may see it"
    )
    check(
        all(r["age_rating"] == "mature" for r in shop.read("search_catalogue", "alice", age_rating="mature")),
        "an adult's filter",
    )


def check_ownership(shop):
    orders = dict(shop.ro.execute("SELECT id, customer_id FROM orders"))
    for order_id, owner in orders.items():
        for user in (*CALLERS, "nobody-we-know", "' OR 1=1 --", ""):
            rows = shop.read("order_status", user, order_id=order_id)
            check(len(rows) == (user == owner), f"order_status({order_id}) of {owner} as {user}: {len(rows)} rows")
            check(
                user == owner or not shop.preview("start_return", user, order_id=order_id, reason="other"),
                f"preview of {order_id} as {user}",
            )
    for user in CALLERS:
        check(
            {orders[row["order_id"]] for row in shop.read("list_my_orders", user)} == {user},
            f"list_my_orders as {user}",
        )
    check(not shop.read("list_my_orders", "nobody-we-know"), "an unknown user has no orders")
    processing = [
        (i, owner)
        for i, owner in orders.items()
        if shop.read("order_status", owner, order_id=i)[0]["status"] == "processing"
    ]
    address = {"street": "1 Thief Street", "city": "Nowhere", "postal_code": "00000"}
    for order_id, owner in processing:
        for user in set(CALLERS) - {owner}:
            check(
                shop.write("change_shipping_address", user, order_id=order_id, **address)[0] is None,
                f"{user} redirected {order_id}",
            )
    delivered = [
        i for i, owner in orders.items() if owner == "alice" and shop.preview("start_return", "alice", order_id=i)
    ]
    for order_id in delivered:
        check(
            shop.write("start_return", "bob", order_id=order_id, reason="other")[0] is None, f"bob returned {order_id}"
        )


def check_writes(shop):
    figures = []
    for user in CALLERS:
        mine = {row["order_id"]: row for row in shop.read("list_my_orders", user)}
        of = lambda status: [i for i, row in mine.items() if row["status"] == status]
        address = {"street": "12 Harbor Road", "city": "Seattle", "region": "WA", "postal_code": "98104"}
        rows, refused = shop.write("change_shipping_address", user, order_id=of("processing")[0].lower(), **address)
        check(
            rows and rows[0]["ship_to"] == "12 Harbor Road, Seattle, WA 98104, US", f"address change: {rows or refused}"
        )
        check(
            shop.write("change_shipping_address", user, order_id=of("processing")[0], country="FR", **address)[0]
            is None,
            "abroad",
        )
        for status in ("shipped", "delivered", "cancelled", "returned"):
            check(
                shop.write("change_shipping_address", user, order_id=of(status)[0], **address)[0] is None,
                f"address of a {status} order",
            )
        for status in ("processing", "shipped", "cancelled", "returned"):
            check(not shop.preview("start_return", user, order_id=of(status)[0]), f"preview of a {status} order")
            check(
                shop.write("start_return", user, order_id=of(status)[0], reason="other")[0] is None,
                f"return of a {status} order",
            )
        window = (utc_today() - timedelta(days=30)).isoformat()
        late = [i for i in of("delivered") if mine[i]["delivered_on"] < window]
        check(late and not shop.preview("start_return", user, order_id=late[0]), "return after the window")
        check(
            shop.write("start_return", user, order_id=late[0], reason="changed_mind")[0] is None,
            "return after the window",
        )
        amounts = {
            i: shop.preview("start_return", user, order_id=i)[0]["amount"] for i in of("delivered") if i not in late
        }
        check(
            min(amounts.values()) <= 50 < max(amounts.values()),
            f"{user} has returns with and without approval: {amounts}",
        )
        for order_id, amount in amounts.items():
            paid = 0
            if amount > 50:
                part = shop.preview("start_return", user, order_id=order_id, lines=[1])[0]["amount"]
                rows, refused = shop.write("start_return", user, order_id=order_id, reason="damaged", lines=[1])
                check(rows and rows[0]["refund_usd"] == part < amount, f"return of one line: {rows or refused}")
                for lines in ([1], [2]):
                    check(
                        shop.write("start_return", user, order_id=order_id, reason="damaged", lines=lines)[0] is None,
                        "two open returns",
                    )
                shop.rw.execute(
                    "UPDATE returns SET status = 'refunded', refunded_on = requested_on WHERE order_id = ?", (order_id,)
                )
                check(not shop.preview("start_return", user, order_id=order_id, lines=[1]), "one line twice")
                rest = shop.preview("start_return", user, order_id=order_id)[0]
                check(
                    rest["refunded_before"] == part and round(rest["amount"] + part, 2) == amount,
                    "small returns add up",
                )
                paid = part
            rows, refused = shop.write("start_return", user, order_id=order_id, reason="changed_mind")
            check(
                rows and round(rows[0]["refund_usd"] + paid, 2) == amount,
                f"return: {rows or refused}, {amount} expected",
            )
            again, refused = shop.write("start_return", user, order_id=order_id, reason="changed_mind")
            check(again is None and refused.startswith("The return was not started."), "start_return twice is refused")
            check(not shop.preview("start_return", user, order_id=order_id), "no preview after the return")
            check(
                "awaiting parcel" in shop.read("order_status", user, order_id=order_id)[0]["returns"],
                "order_status shows the return",
            )
        figures.append(f"{user} {', '.join(f'{i} {a:.2f}' for i, a in sorted(amounts.items()))}")
    return figures


def check_other_days(folder):
    """The example is as fresh in later years: parcels under way, return windows open, minors still minors."""
    days = ("2026-11-15", "2026-12-31", "2028-02-29", "2031-01-01", "2044-07-04")
    for day in days:
        path = str(Path(folder) / f"{day}.db")
        db = build(path, day)
        newest = db.execute("SELECT max(placed_on) FROM orders").fetchone()[0]
        check(
            newest == (date.fromisoformat(day) - timedelta(days=1)).isoformat(),
            f"{day}: the newest order is of {newest}",
        )
        check(
            db.execute("SELECT min(eta_on) FROM shipments WHERE delivered_on IS NULL").fetchone()[0] > day,
            f"{day}: a parcel is late",
        )
        db.close()
        shop = Shop(path, day)
        for user in CALLERS:
            found = [
                shop.preview("start_return", user, order_id=row["order_id"])
                for row in shop.read("list_my_orders", user)
            ]
            check(sum(bool(rows) for rows in found) == 3, f"{day}: {user} has three orders to return")
        check(
            shop.read("search_catalogue", "alice", age_rating="mature")
            and not shop.read("search_catalogue", "bob", age_rating="mature"),
            f"{day}: ages",
        )
        check(shop.read("search_catalogue", "bob", age_rating="teen"), f"{day}: bob is a teenager")
    return len(days)


def check_generated():
    """make_data.py still writes exactly the files that are checked in."""
    before = {file: file.read_bytes() for file in sorted((HERE / "data").glob("*.csv"))}
    spec = importlib.util.spec_from_file_location("make_data", HERE / "data" / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source = module.HERE
    with tempfile.TemporaryDirectory() as folder:
        module.write.__globals__["HERE"] = Path(folder)
        (Path(folder) / "source").symlink_to(source / "source")
        module.main()
        after = {file.name: file.read_bytes() for file in Path(folder).glob("*.csv")}
    check(after == {file.name: data for file, data in before.items()}, "the .csv files are what make_data.py writes")


def check_readme(db):
    mine = {row[0] for row in db.execute("SELECT id FROM orders WHERE customer_id = 'web-user'")}
    named = set(re.findall(r"MA-\d{5}", (HERE / "README.md").read_text("utf-8")))
    check(named and named - {"MA-10001"} <= mine, f"the README's orders are web-user's: {named - mine}")
    titles = {row[0] for row in db.execute("SELECT title FROM titles")}
    check(f"{len(titles)} titles" in (HERE / "README.md").read_text("utf-8"), "the README counts the titles")
    for name in re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", (HERE / "README.md").read_text("utf-8")):
        check(name in titles, f"the README names a title that the shop does not have: {name}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "shop.db")
        db = build(path)
        counts = check_data(db)
        db.close()
        shop = Shop(path)
        check_files(shop)
        check_search(shop)
        check_ages(shop)
        check_readme(shop.ro)
        check_ownership(shop)
        figures = check_writes(shop)
        days = check_other_days(folder)
        check_generated()
        check(not shop.rw.execute("PRAGMA foreign_key_check").fetchall(), "foreign keys hold after all writes")
    print(", ".join(f"{count} {table}" for table, count in counts.items()))
    print("refundable, USD: " + "; ".join(figures))
    print(
        f"{len(shop.tools)} tools, {len(CASES['hostile'])} hostile inputs, {days} other days, {checks} checks: ok (SQLite {sqlite3.sqlite_version})"
    )


if __name__ == "__main__":
    main()
