"""Ten thousand webhooks in a burst: every one acknowledged, and every one a lead; with the real API and worker.

The targets are absolute: nothing may be lost, and sources give up waiting for an answer after some seconds.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import http_load, product, report
from crm import db
from crm.actor import Actor
from crm.inbox import connections
from crm.inbox.connections import Source

BURST, CLIENTS = 10_000, 64
KEY = "a key for the bench"
PATIENCE = 5.0
"""Seconds a source may have to wait for its answer."""
LONGEST = 1800.0


def main() -> None:
    """Print what became of the burst."""
    with product.database():
        firm = product.run(prepare())
        with product.api() as port:
            santral = Path(sys.executable).parent / "santral"
            worker = subprocess.Popen([santral, "worker"], env=os.environ, stdout=subprocess.DEVNULL)
            try:
                began = time.perf_counter()
                load = http_load.run(port, [webhook(n) for n in range(BURST)], clients=CLIENTS)
                taken = time.perf_counter() - began
                leads, left = product.run(drained(firm))
                seconds = time.perf_counter() - began
            finally:
                worker.terminate()
                worker.wait()
    report.figure("webhook_burst.acknowledged", [1 - load.refused / BURST], 1.0, at_least=True)
    report.figure("webhook_burst.leads_of_acknowledged", [leads / (BURST - load.refused)], 1.0, at_least=True)
    p95 = report.percentile(load.latencies, 0.95)
    report.figure("webhook_burst.answer_p95_seconds", [p95], PATIENCE, at_least=False)
    report.remark(f"{BURST} webhooks over {CLIENTS} connections, 1 API process and 1 worker, fsync on")
    report.remark(f"{BURST / taken:.0f} webhooks/s answered; all were leads after {seconds:.0f} s; {left} left waiting")


def webhook(n: int) -> bytes:
    """Return the n-th webhook of Google's, each another person."""
    columns = {"FULL_NAME": f"Bench {n}", "EMAIL": f"b{n}@bench.example", "PHONE_NUMBER": f"+90532{n:07d}"}
    body = {
        "lead_id": f"burst-{n}",
        "google_key": KEY,
        "user_column_data": [{"column_id": key, "string_value": value} for key, value in columns.items()],
    }
    return http_load.request("POST", "/webhooks/google", token="", body=json.dumps(body).encode())


async def prepare() -> product.Firm:
    """Make a firm with a connection to Google."""
    firm = await product.make_firm()
    secrets = {"google_key": KEY}
    async with db.transaction(firm.admin) as tx:
        await connections.create(tx, source=Source.google, name="bench", secrets=secrets, now=datetime.now(UTC))
    return firm


async def drained(firm: product.Firm) -> tuple[int, int]:
    """Wait until the inbox is worked off; return how many leads there are, and how many messages are left."""
    left, until = 1, time.monotonic() + LONGEST
    while left and time.monotonic() < until:
        await asyncio.sleep(0.5)
        async with db.transaction(Actor.system(firm.tenant_id)) as tx:
            left = await tx.fetchval("select count(*)::int from crm.inbox_message where status <> 'done'")
            leads = await tx.fetchval("select count(*)::int from crm.lead")
    return leads, left
