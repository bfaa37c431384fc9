"""How long a system took to be as large as its load needs it."""

from __future__ import annotations

from drill.measure.bounds import combine
from drill.measure.incidents import redundancy_parameters
from drill.measure.service import measure_probe
from drill.model import Bounds, History, LoadBegan, Window


def scale_out(history: History, t0: Window | None, undo: int | None) -> Bounds | None:
    """
    From the rise of the load (without one, from the fault) until every probe of scaling is good and stays so.

    *undo* is when the undo that ends the measuring began. None when nobody saw it,
    or when one of the probes never saw too little: what is there already does not
    scale out, and may hide between two samples.
    """
    plan = history.plan
    began: LoadBegan | None = next(iter(history.of(LoadBegan)), None)
    rose = None if plan.load is None else plan.load.rise
    if rose is not None and began is not None:
        since: Window | None = Window(began.at + rose[0], began.at + rose[0])
        ends = [undo] if rose[1] is None else [undo, began.at + rose[1]]
    else:
        since, ends = (None if rose else t0), [undo]
    until = min((end for end in ends if end is not None), default=None)
    if since is None:
        return None
    found = []
    for name in plan.scaling:
        every = plan.probe(name).every
        cut = () if until is None else (until,)
        seen = measure_probe(name, history.samples(name), since, every, redundancy_parameters(every), cut)
        found.append(seen.rto if seen.incidents else None)
    return combine(found)
