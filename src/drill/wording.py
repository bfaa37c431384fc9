"""
How numbers are said, the same on the terminal and in every report.

A lower bound is rounded down and an upper bound up, so what is printed always
contains what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from drill.model import MILLISECOND, SECOND, Bounds, Measure, Result

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# A number and its unit stay on one line.
NBSP = "\u00a0"

MEASURES = {
    Measure.RTO: "recovery time",
    Measure.OUTAGE: "outage",
    Measure.BAD_TIME: "time failing",
    Measure.ERROR_RATIO: "errors",
    Measure.RPO: "data loss, as time",
    Measure.LOST_WRITES: "lost writes",
    Measure.INTEGRITY: "one recovery point",
    Measure.REDUNDANCY: "redundancy back",
    Measure.FAILBACK: "outage of failing back",
    Measure.UNPROTECTED: "time without redundancy",
    Measure.WORK_RECOVERY: "service back to data checked",
    Measure.COLD_CACHE: "time the cache was cold",
    Measure.SCALE_OUT: "time to scale out",
    Measure.DETECTED: "time until detected",
    Measure.MOVES: "moves",
    Measure.AVAILABILITY: "availability",
    Measure.CAPACITY: "capacity under load",
    Measure.LATENCY_P50: "median latency after recovery",
    Measure.LATENCY_P95: "latency after recovery, 95th percentile",
    Measure.LATENCY_P99: "latency after recovery, 99th percentile",
}

# Where a target comes from, as its source says first.
SOURCES = ("stated", "proposed", "derived")


RESULTS = {
    Result.MET: "Every objective was met.",
    Result.MISSED: "An objective was missed.",
    Result.INCONCLUSIVE: "The evidence decides neither way.",
    Result.REFUSED: "drill would not begin; nothing was broken.",
    Result.ABORTED: "The drill was cut short; every fault was undone.",
    Result.UNSAFE: "A fault may still be in place. A person is needed now.",
}

# A run that ended so came to no verdict: what its objectives say does not count.
VOID = frozenset({Result.REFUSED, Result.ABORTED, Result.UNSAFE})

COUNTS = frozenset({Measure.LOST_WRITES, Measure.INTEGRITY, Measure.MOVES})
SHARES = frozenset({Measure.ERROR_RATIO, Measure.AVAILABILITY, Measure.CAPACITY})
NO_UPPER = {
    Measure.RTO: "never recovered",
    Measure.OUTAGE: "never recovered",
    Measure.FAILBACK: "never recovered",
    Measure.BAD_TIME: "never recovered",
    Measure.REDUNDANCY: "never regained",
    Measure.UNPROTECTED: "never regained",
    Measure.COLD_CACHE: "never warm again",
    Measure.SCALE_OUT: "never enough",
    Measure.DETECTED: "not detected",
    Measure.LATENCY_P50: "no good answer",
    Measure.LATENCY_P95: "no good answer",
    Measure.LATENCY_P99: "no good answer",
}


def measure_of(objective: str) -> Measure:
    """The measure an objective's id is about; `rto:orders-reads` and `rto#2` are about rto."""
    return Measure(objective.partition("#")[0].partition(":")[0])


def probe_of(objective: str) -> str:
    """The one probe an objective's id is about; "" when it is about all."""
    return objective.partition("#")[0].partition(":")[2]


def number_of(objective: str) -> int:
    """Which of several targets of one measure an objective's id means, from 1."""
    return int(objective.partition("#")[2] or 1)


def source_of(text: str | None) -> tuple[str | None, str | None]:
    """Where a target comes from: of which kind (stated, proposed, derived; None: not said), and the reference."""
    kind, colon, rest = (text or "").partition(":")
    if colon and kind.strip().lower() in SOURCES:
        return kind.strip().lower(), rest.strip() or None
    return (text, None) if text in SOURCES else (None, text)


def nanoseconds(seconds: float) -> int:
    """The nanoseconds of a decimal in the record."""
    return round(seconds * SECOND)


def duration(ns: int, *, up: bool | None = None) -> str:
    """
    A duration for people: "480 ms", "1.51 s", "2 min 5.3 s".

    *up* rounds up when true, down when false, to the nearest when None.
    """
    unit, step = _scale(ns)
    # 999.6 ms is said as 1 s.
    ns = _rounded(ns, step, up) * step
    unit, step = _scale(ns)
    return _number(ns, unit, step, up) if unit == "clock" else f"{_number(ns, unit, step, up)}{NBSP}{unit}"


def target(ns: int) -> str:
    """A duration as somebody asked for it: "30 s", "2 min", without decimals that nobody wrote."""
    return duration(ns)


def bounds(found: Bounds | None, measure: Measure = Measure.RTO) -> str:
    """
    Bounds of a duration, a count or a ratio, for people.

    "21.93–22.05 s"; "≥ 19 s, never recovered" without an upper bound; "≤ 300 ms"
    when the lower is 0 and so nothing may have happened; "not measured" for None.
    """
    if found is None:
        return "not measured"
    if measure in COUNTS:
        return count_bounds(found.lower, found.upper)
    if measure in SHARES:
        return ratio_bounds(found, measure)
    if found.upper is None:
        tail = NO_UPPER.get(measure, "upper bound not known")
        return f"≥{NBSP}{duration(found.lower, up=False)}, {tail}"
    if found.lower == 0:
        return f"≤{NBSP}{duration(found.upper, up=True)}" if found.upper else "0 s".replace(" ", NBSP)
    unit, step = _scale(found.upper)
    if unit == "clock":
        lower, upper = duration(found.lower, up=False), duration(found.upper, up=True)
        return lower if lower == upper else f"{lower} – {upper}"
    lower, upper = _alike(_number(found.lower, unit, step, False), _number(found.upper, unit, step, True))
    return f"{lower}{NBSP}{unit}" if lower == upper else f"{lower}–{upper}{NBSP}{unit}"


def moment(lower: int, upper: int | None = None) -> str:
    """An instant as seconds from the fault, rounded outwards: "+21.92…22.05 s", "−10 s"."""
    first, last = (
        _rounded(lower, SECOND // 100, False),
        _rounded(lower if upper is None else upper, SECOND // 100, True),
    )
    if upper is None:
        last = first = _rounded(lower, SECOND // 100, None)
    if first == last:
        return f"{_signed(first)}{NBSP}s"
    begin, end = _alike(_signed(first), _signed(last))
    return f"{begin}…{end.lstrip('+') if first >= 0 else end}{NBSP}s"


def _alike(lower: str, upper: str) -> tuple[str, str]:
    """Two numbers with as many decimals as the longer one has."""
    places = max(len(number.partition(".")[2]) for number in (lower, upper))

    def filled(number: str) -> str:
        whole, _, rest = number.partition(".")
        return f"{whole}.{rest:0<{places}}" if places else whole

    return filled(lower), filled(upper)


def _signed(hundredths: int) -> str:
    whole, rest = divmod(abs(hundredths), 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
    return f"{'−' if hundredths < 0 else '+'}{text}"


def count(n: int) -> str:
    """A count in groups of three: "14 704"."""
    return f"{n:,}".replace(",", NBSP)


def count_bounds(lower: int, upper: int | None) -> str:
    if upper is None:
        return f"≥{NBSP}{count(lower)}"
    return count(lower) if lower == upper else f"{count(lower)}–{count(upper)}"


def ratio(ppm: int, *, up: bool | None = None) -> str:
    """A share given in parts per million, in percent: "0.42 %"."""
    return f"{_percent(ppm, up)}{NBSP}%"


def share(ppm: int, measure: Measure) -> str:
    """A target in percent; of availability with all its nines: "99.995 %"."""
    return f"{_percent(ppm, None, _digits(measure))}{NBSP}%"


def _digits(measure: Measure) -> int:
    return 4 if measure is Measure.AVAILABILITY else 2


def _percent(ppm: int, up: bool | None, digits: int = 2) -> str:
    whole, rest = divmod(_rounded(ppm, 10 ** (4 - digits), up), 10**digits)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")


def ratio_bounds(found: Bounds, measure: Measure = Measure.ERROR_RATIO) -> str:
    digits = _digits(measure)
    if found.upper is None:
        return f"≥{NBSP}{_percent(found.lower, False, digits)}{NBSP}%"
    lower, upper = _percent(found.lower, False, digits), _percent(found.upper, True, digits)
    if lower == upper:
        return f"{lower}{NBSP}%"
    lower, upper = _alike(lower, upper)
    return f"{lower}–{upper}{NBSP}%"


def id_ranges(ids: Sequence[int]) -> str:
    """Sorted ids with neighbours drawn together: "7, 10–12"."""
    runs: list[list[int]] = []
    for id in ids:
        if runs and id == runs[-1][1] + 1:
            runs[-1][1] = id
        else:
            runs.append([id, id])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def plural(n: int, one: str, many: str | None = None) -> str:
    """ "1 write", "137 writes"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def _scale(ns: int) -> tuple[str, int]:
    """The unit a duration is said in, and the smallest step shown, in nanoseconds."""
    if 0 < ns < MILLISECOND:
        return "ms", 10_000
    if 0 < ns < 10 * MILLISECOND:
        return "ms", 100_000
    if 0 < ns < SECOND:
        return "ms", MILLISECOND
    if ns < MINUTE:
        return "s", 10 * MILLISECOND
    return "clock", SECOND // 10 if ns < 10 * MINUTE else SECOND


def _number(ns: int, unit: str, step: int, up: bool | None) -> str:
    shown = _rounded(ns, step, up) * step
    if unit == "clock":
        return _clock(shown)
    size = MILLISECOND if unit == "ms" else SECOND
    whole, rest = divmod(shown, size)
    digits = len(str(size // step)) - 1
    text = f"{whole}.{rest // step:0{digits}d}" if digits else str(whole)
    return text.rstrip("0").rstrip(".") if digits else text


def _clock(ns: int) -> str:
    hours, rest = divmod(ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    parts = [f"{hours}{NBSP}h"] if hours else []
    if minutes:
        parts.append(f"{minutes}{NBSP}min")
    if rest:
        parts.append(f"{_number(rest, 's', SECOND // 10, None)}{NBSP}s")
    return " ".join(parts)


def _rounded(value: int, step: int, up: bool | None) -> int:
    if up is None:
        return (value + step // 2) // step
    return -(-value // step) if up else value // step
