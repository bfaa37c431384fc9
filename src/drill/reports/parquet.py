"""
Every sample of a run as a table in columns: samples.parquet.

For whoever wants to ask the samples themselves, with DuckDB, pandas or a
spreadsheet. Written only where pyarrow is installed, which is large: the extra
`parquet`. Instants are nanoseconds of the run's monotonic clock, as in the
journal; the file's metadata has the anchor that ties them to wall time.
"""

from __future__ import annotations

import io
from typing import Any

from drill.model import History, Sample
from drill.record import Record


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
        with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
            for probe in history.plan.probes:
                samples = history.samples(probe.name)
                if samples:
                    writer.write_table(pyarrow.table(_columns(probe.name, samples), schema=schema))
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


def _columns(probe: str, samples: list[Sample]) -> dict[str, list[Any]]:
    return {
        "probe": [probe] * len(samples),
        "planned": [each.planned for each in samples],
        "sent": [each.sent for each in samples],
        "ended": [each.ended for each in samples],
        "outcome": [each.outcome.value for each in samples],
        "detail": [each.detail for each in samples],
        "served_by": [each.served_by for each in samples],
        "id": [each.id for each in samples],
        "fate": [None if each.fate is None else each.fate.value for each in samples],
        "value": [each.value for each in samples],
    }
