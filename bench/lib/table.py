"""The table: each figure beside its peer's, their ratio, and whether the target is reached."""


class Table:
    HEAD = ("figure", "bedplate", "peer", "peer's figure", "ratio", "target", "reached")

    def __init__(self):
        self.rows = []

    def at_least(self, figure, ours, peer, theirs, target, unit="/s"):
        """More is better: our figure over the peer's is to be `target` or more; a target of None is only reported."""
        self._ratio(figure, ours, peer, theirs, unit, target, lambda ratio: ratio >= target, "≥")

    def at_most(self, figure, ours, peer, theirs, target, unit):
        """Less is better: our figure over the peer's is to be `target` or less."""
        self._ratio(figure, ours, peer, theirs, unit, target, lambda ratio: ratio <= target, "≤")

    def bound(self, figure, ours, limit, unit, peer, theirs):
        """Our figure itself is to be `limit` or less; the peer's stands beside it."""
        reached = "–" if ours is None else "yes" if ours <= limit else "NO"
        ratio = "–" if not theirs or ours is None else times(ours / theirs)
        self.rows.append((figure, show(ours, unit), peer, show(theirs, unit), ratio, f"≤ {show(limit, unit)}", reached))

    def _ratio(self, figure, ours, peer, theirs, unit, target, holds, sign):
        if ours is None or not theirs:
            self.rows.append((figure, show(ours, unit), peer, show(theirs, unit), "–", f"{sign} {target}×" if target else "report", "–"))
            return
        ratio = ours / theirs
        reached = "–" if target is None else "yes" if holds(ratio) else "NO"
        wanted = "report" if target is None else f"{sign} {target}×"
        self.rows.append((figure, show(ours, unit), peer, show(theirs, unit), times(ratio), wanted, reached))

    def text(self):
        return drawn(self.HEAD, self.rows)

    def missed(self):
        return [row[0] for row in self.rows if row[-1] == "NO"]


class Figures:
    """What was measured of each system of the gateway bench, a row for each."""

    COLUMNS = (
        ("/s at 4", "rate 4", "/s"), ("/s at 32", "rate 32", "/s"), ("CPU at 4", "cpu 4", "µs"), ("CPU at 32", "cpu 32", "µs"),
        ("p99 at 32", "p99 32", "µs"), ("p99 paced", "paced p99", "µs"), ("first token", "first token", "µs"),
        ("dropped", "dropped", ""), ("memory at 32", "memory 32", "MB"), ("at 512", "memory 512", "MB"),
    )

    def __init__(self):
        self.rows = []

    def row(self, name, of, fault):
        """Adds what `of` says of a system; `fault` says why some of it is missing."""
        cells = ["–" if of(figure) is None else show(of(figure), unit) for _, figure, unit in self.COLUMNS]
        self.rows.append((name, *cells, fault or ""))

    def text(self):
        return drawn(("system", *(head for head, _, _ in self.COLUMNS), "not measured because"), self.rows)


def drawn(head, rows):
    """Returns rows of cells under their heads, as Markdown."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def times(ratio):
    return f"{ratio:.1f}×" if ratio >= 10 else f"{ratio:.3g}×"


def show(value, unit):
    if value is None:
        return "not measured"
    if unit == "MB":
        return f"{value / 1e6:.1f} MB"
    if unit == "KB":
        return f"{value / 1e3:.1f} KB"
    if unit == "×":
        return f"{value:.2f}×"
    if unit == "/s":
        return f"{value:,.0f} /s"
    return f"{value:.2f} {unit}" if value < 100 else f"{value:.0f} {unit}"
