"""Turns figures into one table. Rows are measures, columns are products."""


def number(value, digits=1):
    if value is None:
        return "–"
    return f"{value:,.{digits}f}"


def part(figures, series, field, digits=1):
    return number((figures.get(series) or {}).get(field), digits)


def pair(figures, series):
    return f"{part(figures, series, 'p50_ms')} / {part(figures, series, 'p90_ms')}"


def median_of_starts(figures, field):
    values = sorted(start[field] for start in figures.get("starts", []))
    return number(values[len(values) // 2], 3) if values else "–"


def rate(figures, series):
    taken = figures.get(series)
    if not taken:
        return "–"
    failed = f", {taken['failed']} failed" if taken["failed"] else ""
    return f"{number(taken['per_second'])} ({taken['turns']} turns{failed})"


def hello(figures):
    seen = figures.get("hello")
    return f"{number(seen['bytes'] / 1000)} / {seen['tools']}" if seen else "–"


# What is measured, what Steward aims at, and how it is read.
ROWS = [
    ("size on disk, MB", "≤ 40", lambda f: number(f.get("size_bytes", 0) / 1e6)),
    ("start to ready, s", "", lambda f: median_of_starts(f, "ready_s")),
    ("start to first answer, s", "≤ 0.2", lambda f: median_of_starts(f, "first_answer_s")),
    ("RSS before the first turn, MiB", "≤ 30", lambda f: number(f.get("rss_before_first_turn_mib"))),
    ("RSS after 100 sessions, MiB", "≤ 45", lambda f: number(f.get("rss_after_sessions_mib"))),
    ("turn, new session, p50 / p90 ms", "p50 ≤ 15", lambda f: pair(f, "new_session")),
    ("turn, same session, p50 / p90 ms", "", lambda f: pair(f, "same_session")),
    ("turn with one shell call, p50 / p90 ms", "", lambda f: pair(f, "tool")),
    ("the model alone, p50 ms", "", lambda f: number(f.get("direct_p50_ms"))),
    ("CPU per turn, ms", "≤ 3", lambda f: part(f, "new_session", "cpu_ms_per_turn")),
    ("CPU per turn with one shell call, ms", "", lambda f: part(f, "tool", "cpu_ms_per_turn")),
    ("… and of the children it ran, ms", "", lambda f: part(f, "tool", "children_cpu_ms_per_turn")),
    ("100 sessions, 4 at once, turns/s", "", lambda f: rate(f, "sessions")),
    ("300 turns over 100 sessions, 32 at once, turns/s", "≥ 300", lambda f: rate(f, "crowd")),
    ("… p50 / p90 ms", "", lambda f: pair(f, "crowd")),
    ("CPU per turn in that crowd, ms", "", lambda f: part(f, "crowd", "cpu_ms_per_turn")),
    ("request for “hello”, kB / tools", "≤ 10 kB", hello),
    ("load average before, after (1 min)", "", lambda f: f"{f['load_average_before'][0]}, {f['load_average_after'][0]}"),
]


def markdown(results):
    """The table. A product that could not be measured is a line below it."""
    measured = [result for result in results if "skipped" not in result]
    heads = [f"{result['name']} {bare(result)}".strip() for result in measured]
    lines = [f"| | {' | '.join(heads)} | aim for Steward |", "|---" * (len(measured) + 2) + "|"]
    for title, aim, read in ROWS:
        lines.append(f"| {title} | {' | '.join(read(result) for result in measured)} | {aim} |")
    notes = [f"- {result['name']}: {words}" for result in results for words in notes_of(result)]
    return "\n".join([*lines, "", *notes])


def bare(result):
    """A version without the name in front of it."""
    return result["version"].split()[-1] if result.get("version") else ""


def notes_of(result):
    if "skipped" in result:
        return [f"skipped: {result['skipped']}"]
    notes = [f"cut: {result['cut']}"] if "cut" in result else []
    for series, figures in result.items():
        if isinstance(figures, dict) and figures.get("first_error"):
            notes.append(f"{series}: {figures['failed']} failed, the first with {figures['first_error']}")
    return notes
