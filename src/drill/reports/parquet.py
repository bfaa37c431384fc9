"""
Every sample of a run as a table in columns: samples.parquet.

For whoever wants to ask the samples themselves, with DuckDB, pandas or a
spreadsheet. Written only where pyarrow is installed, which is large: the extra
`parquet`. Instants are nanoseconds of the run's monotonic clock, as in the
journal; the file's metadata has the anchor that ties them to wall time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drill.columns import FATES, NEVER, OUTCOMES, Columns, Mask
from drill.model import History
from drill.record import Record

# Instants grow by nearly the same each time, so their differences take least room; a dictionary of them would be them.
_WORDS = ["probe", "outcome", "detail", "served_by", "fate"]
_INSTANTS = ["planned", "sent", "ended", "id"]
_CODES = {"use_dictionary": _WORDS, "column_encoding": dict.fromkeys(_INSTANTS, "DELTA_BINARY_PACKED")}


class ParquetFormat:
    """One row per sample, probe by probe, in the order they were planned; in columns, few bytes each."""

    name = "parquet"
    filename = "samples.parquet"
    needs = "pyarrow"

    def render(self, record: Record, history: History) -> bytes:
        import pyarrow
        from pyarrow import parquet

        anchor = history.began.anchor
        schema = _schema(pyarrow).with_metadata(
            {
                "run_id": record.run_id,
                "result": record.result,
                "journal_sha256": history.digest,
                "anchor_monotonic_ns": str(anchor.monotonic),
                "anchor_wall_ns": str(anchor.wall),
            }
        )
        out = io.BytesIO()
        # A group of rows per probe, so that one hour at a thousand samples a second never stands in memory twice.
        with parquet.ParquetWriter(out, schema, compression="zstd", **_CODES) as writer:
            for probe in history.plan.probes:
                samples = history.samples(probe.name)
                if samples:
                    writer.write_table(pyarrow.table(_columns(pyarrow, probe.name, samples), schema=schema))
        return out.getvalue()


def _schema(pyarrow: Any) -> Any:
    word, instant = pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.int64()
    return pyarrow.schema(
        [
            pyarrow.field("probe", word, nullable=False),
            pyarrow.field("planned", instant, nullable=False),
            pyarrow.field("sent", instant),
            pyarrow.field("ended", instant),
            pyarrow.field("outcome", word, nullable=False),
            pyarrow.field("detail", word, nullable=False),
            pyarrow.field("served_by", word),
            pyarrow.field("id", instant),
            pyarrow.field("fate", word),
            pyarrow.field("value", pyarrow.float64()),
        ]
    )


def _columns(pyarrow: Any, probe: str, samples: Columns) -> dict[str, Any]:
    def numbers(column: NDArray[Any], missing: Mask) -> Any:
        return pyarrow.array(column, mask=missing)

    def words(column: NDArray[Any], known: Sequence[str | None]) -> Any:
        used = np.flatnonzero(np.bincount(column, minlength=len(known)))
        said = [known[number] for number in used.tolist()]
        numbers = np.zeros(len(known), np.int32)
        numbers[used] = np.arange(len(used))
        places = numbers[column]
        missing = np.array([word is None for word in said], dtype=np.bool_)[places]
        # A dictionary may hold no null; a masked place never looks into it.
        dictionary = ["" if word is None else word for word in said]
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(places, mask=missing), dictionary)

    return {
        "probe": words(np.zeros(len(samples), np.int32), [probe]),
        "planned": pyarrow.array(samples.planned),
        "sent": numbers(samples.sent, samples.sent == NEVER),
        "ended": numbers(samples.ended, samples.ended == NEVER),
        "outcome": words(samples.outcome, [each.value for each in OUTCOMES]),
        "detail": words(samples.detail, samples.words),
        "served_by": words(samples.served_by, samples.words),
        "id": numbers(samples.id, samples.id == NEVER),
        "fate": words(samples.fate, [None if each is None else each.value for each in FATES]),
        "value": numbers(samples.value, np.isnan(samples.value)),
    }
