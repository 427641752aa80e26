"""
A weekly report with a chart and an attachment, sent two hours after the run.

Its figures, chart, and attachment come from an upstream task; ``content`` names a template file beside this
one. That file and all other arguments are Jinja templates.
"""

from __future__ import annotations

import csv
import struct
import tempfile
import zlib
from datetime import datetime, timezone
from pathlib import Path

from airflow import DAG

try:  # Airflow 3
    from airflow.sdk import task
except ImportError:
    from airflow.decorators import task

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator


def bar_chart(values: list[float], height: int = 120) -> bytes:
    """Draw a bar for each value as a PNG image, without a library; matplotlib draws nicer ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = [
        b"".join(
            b"\0" * 10 + (b"\1" if value / max(values) > 1 - y / height else b"\0") * 40 for value in values
        )
        for y in range(height)
    ]
    header = struct.pack(">IIBBBBB", 50 * len(values), height, 8, 3, 0, 0, 0)
    colors = bytes.fromhex("ffffff 2563a8")
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = {b"IHDR": header, b"PLTE": colors, b"IDAT": pixels, b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks.items())


with DAG(
    "bigin_report",
    schedule="0 6 * * 1",
    start_date=datetime(2026, 1, 5, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 3},
):

    @task
    def summarize() -> dict[str, object]:
        """Total the week's orders, write them to a file, and draw a chart."""
        orders = [("2041", 120.0), ("2042", 80.5), ("2043", 310.0)]
        amounts = [amount for _, amount in orders]
        folder = Path(tempfile.mkdtemp())
        with (folder / "orders.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("order", "amount"), *orders])
        (folder / "orders.png").write_bytes(bar_chart(amounts))
        return {"orders": len(orders), "total": sum(amounts), "folder": str(folder)}

    figures = summarize()

    report = BiginSendMailOperator(
        task_id="report",
        record_id="5000000000000000102",
        to='"Hopper, Grace" <grace.hopper@example.org>',
        cc=["ada.lovelace@example.org"],
        reply_to="Sales desk <sales@example.com>",
        subject="Orders of the week of {{ ds }}",
        content="templates/report.html",
        files=["{{ ti.xcom_pull(task_ids='summarize')['folder'] }}/orders.csv"],
        images={"orders": "{{ ti.xcom_pull(task_ids='summarize')['folder'] }}/orders.png"},
        scheduled_time="{{ (dag_run.start_date + macros.timedelta(hours=2)).isoformat() }}",
    )

    figures >> report
