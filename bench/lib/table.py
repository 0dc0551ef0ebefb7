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
        rows = [self.HEAD, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.HEAD))]
        line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([line(self.HEAD), rule, *map(line, self.rows)])

    def missed(self):
        return [row[0] for row in self.rows if row[-1] == "NO"]


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
