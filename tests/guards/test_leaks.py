"""The leak crawler: nothing that leaves the product or lies in it shows a contact's number or address in clear.

A real API process with one lead whose phone and e-mail came by every road, who is called in every way: as every role
and as nobody, every route that only reads is walked, refusals are provoked, the WebSockets are listened to; then every
table of every schema and every log line is searched, those of the dialer and the worker, too. The audited reveal is the
one exception.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import websockets

from api.app import create_app
from cli.keeper import free_port
from crm import db
from crm.leads import intake
from crm.leads.intake import Consent, NewLead
from tests.api.conftest import token_of
from tests.conftest import Tenant
from tests.guards.telephony import Telephony, exchange, processes

PHONE = "+905324567891"
EMAIL = "gizli.kisi@saklidomain.example"
NEEDLES = ["5324567891", "532 456 78 91", "532-456-7891", "gizli.kisi@", PHONE.encode().hex(), EMAIL.encode().hex()]
"""The number and the address in the shapes they might slip through in, hex of stored bytes among them."""

NOTE = f"Geri ara: 0532 456 78 91, olmazsa {EMAIL}"
MISPLACED: dict[str, Any] = {
    **dict.fromkeys(("campaign", "adset", "ad", "form", "keyword", "geography"), NOTE), "tags": [EMAIL]
}  # fmt: skip
"""What a form or a file puts where an advertisement's name belongs: figures are cut by these."""
UNKNOWN = UUID("01890000-0000-7000-8000-000000000000")


TOLD = ("lead.created", "call.connected", "call.supervised", "agent.state_changed", '"type":"board"')
"""What is heard on the sockets when everything has happened."""


def leaks(text: str) -> list[str]:
    """Return what of the contact's data a text shows."""
    lower = text.lower()
    return [needle for needle in NEEDLES if needle.lower() in lower]


@pytest.fixture
def api(database: str, parsed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A real API process; yields its address and the file of its output."""
    port, log = free_port(), tmp_path / "api.log"
    monkeypatch.setenv("SANTRAL_RATE_LIMIT", "1000000/minute")
    monkeypatch.setenv("SANTRAL_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("SANTRAL_API_PORT", str(port))
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "api"], stdout=out, stderr=out)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", process, log)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url)
            return
        time.sleep(0.2)
    raise AssertionError(f"the API does not start: {log.read_text()[-2000:]}")


async def _seed(base: str, tenant: Tenant, now) -> dict[str, UUID]:
    """Bring the contact in through API, batch and note; return ids by the names routes give them."""
    admin = httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token_of(tenant.admin)}"}, timeout=30)
    async with admin:
        body = {"source": "api", "name": "Gizli Kişi", "phone": PHONE, "email": EMAIL, "attributes": {"alt": NOTE},
                **MISPLACED}  # fmt: skip
        created = await admin.post("/leads", json=body, headers={"Idempotency-Key": "leak-1"})
        assert created.status_code == 201, created.text
        assert not leaks(created.text)
        lead = created.json()
        noted = await admin.post(
            f"/leads/{lead['id']}/activities",
            json={"channel": "call", "direction": "outbound", "outcome": "answered", "note": NOTE},
        )
        assert noted.status_code < 300, noted.text
        assigned = await admin.post(
            f"/leads/{lead['id']}/assign", json={"user_id": str(tenant.sales_agent.user_id), "reason": "manual"}
        )
        assert assigned.status_code < 300, assigned.text
        revealed = await admin.post(f"/contacts/{lead['contact_id']}/reveal", json={"reason": "customer asked"})
        assert leaks(revealed.text), "the audited reveal shows what it reveals"
    batch = [
        NewLead(
            source="file", phone=PHONE, email=EMAIL, attributes={"x": NOTE}, external_id=str(n),
            consents=[Consent("call", "granted", {"text": NOTE})], **MISPLACED,
        )
        for n in range(3)
    ]  # fmt: skip
    await db.run(tenant.system, lambda tx: intake.create_many(tx, batch, now=now))
    return {
        "lead_id": lead["id"], "contact_id": lead["contact_id"], "user_id": tenant.sales_agent.user_id,
        "team_id": tenant.team_id,
    }  # fmt: skip


def _reading_routes() -> list[str]:
    """Return the paths of every route that only reads, and the pages of a service that is not of ours left out."""
    return sorted({route.path for route in create_app().routes if "GET" in (getattr(route, "methods", None) or ())})


def _filled(path: str, known: dict[str, UUID]) -> str:
    return re.sub(
        r"{(\w+)(?::\w+)?}", lambda part: str(known.get(part[1], "01890000-0000-7000-8000-000000000000")), path
    )


class TestLeaks:
    async def test_no_answer_message_log_line_or_row_shows_a_contact_in_clear(
        self, api, tenant: Tenant, database, now, tmp_path, monkeypatch
    ):  # fmt: skip
        base, log = api
        heard: dict[str, list[str]] = {"/realtime": [], "/queue/board/ws": []}
        sockets = [asyncio.create_task(_listen(base, *each, token_of(tenant.admin))) for each in heard.items()]
        known = await _seed(base, tenant, now)
        said, shown = await _telephone(base, log, tenant, known, tmp_path / "spool", monkeypatch)

        found = [f"telephony: {text[:300]}" for text in said if leaks(text)]
        found += [f"an agent's telephone: {text}" for text in shown if leaks(text)]
        found += [
            f"{role} GET {path}: {leaks(text)}"
            for role, actor in [*tenant.actors.items(), ("nobody", None)]
            for path, text in await _walk(base, token_of(actor) if actor else None, known)
            if leaks(text)
        ]
        found += [
            f"refusal: {text[:300]}" for text in await _provoke(base, token_of(tenant.admin), known) if leaks(text)
        ]
        await asyncio.sleep(1.5)  # the request log is written in batches
        for socket in sockets:
            socket.cancel()
        found += [f"{path}: {text[:300]}" for path, texts in heard.items() for text in texts if leaks(text)]
        everything = "".join(text for texts in heard.values() for text in texts)
        assert [each for each in TOLD if each not in everything] == [], "the sockets told of all that happened"
        found += [f"table {where}" for where in await _search(database)]
        found += [f"log: {line[:300]}" for line in log.read_text(errors="replace").splitlines() if leaks(line)]

        assert not found, "\n".join(found)

    async def test_the_crawler_finds_a_leak_where_there_is_one(self, database, tenant: Tenant, now):
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "insert into crm.audit_log (tenant_id, action, target_type, metadata_json, created_at)"
                " values ($1::uuid, 'x', 'x', $2::jsonb, $3::timestamptz)",
                tenant.id, json.dumps({"phone": PHONE}), now,
            )  # fmt: skip

        assert [where.split(":")[0] for where in await _search(database)] == ["crm.audit_log"]


async def _walk(base: str, token: str | None, known: dict[str, UUID]) -> list[tuple[str, str]]:
    """Return the answer of every reading route, its headers among it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answers = []
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
        for path in _reading_routes():
            answer = await client.get(_filled(path, known))
            answers.append((path, f"{dict(answer.headers)} {answer.text}"))
        for query in (
            f"/leads?filter=email:eq:{EMAIL}",
            f"/leads?q={EMAIL}",
            f"/contacts?q={PHONE[1:]}",
            f"/leads?cursor={PHONE}",
            f"/leads?{PHONE}=1",
        ):
            answers.append((query.split("?")[0], (await client.get(query)).text.replace(query, "")))
    return answers


async def _provoke(base: str, token: str, known: dict[str, UUID]) -> list[str]:
    """Return the answers to bodies that hold the number in the wrong place."""
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        bodies = [
            {"phone": f"{PHONE}99999"},
            {"source": EMAIL, "phone": PHONE, "email": 5},
            {PHONE: EMAIL},
            [PHONE],
            PHONE,
        ]
        answers = [await client.post("/leads", json=body) for body in bodies]
        answers.append(await client.post("/leads", content=f'{{"phone": "{PHONE}'.encode()))
        answers.append(await client.patch(f"/leads/{known['lead_id']}", json={"tags": PHONE}))
        answers.append(await client.post(f"/leads/{known['lead_id']}/status", json={"to": PHONE}))
        answers.append(await client.post("/auth/login", json={"email": EMAIL, "password": PHONE}))
        return [f"{answer.status_code} {answer.text}" for answer in answers]


async def _listen(base: str, path: str, heard: list[str], token: str) -> None:
    """Keep what a WebSocket says, until cancelled."""
    async with websockets.connect(f"{base.replace('http', 'ws')}{path}") as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        async for message in socket:
            heard.append(str(message))


async def _telephone(
    base: str, log: Path, tenant: Tenant, known: dict[str, Any], spool: Path, patch: pytest.MonkeyPatch
) -> tuple[list[str], list[str]]:
    """Call the person in every way; return what was answered, and what our people's telephones were shown."""
    async with exchange(tenant, spool, patch) as (there, shown):
        with processes(log, "dialer", "worker"):
            firm = Telephony(base, tenant, there, PHONE, NOTE)
            await firm.open()
            await firm.click(str(known["lead_id"]))
            await firm.call_in_and_be_served()
            await firm.be_called_by_a_campaign(str(known["lead_id"]))
            await firm.play_recording()
            await firm.export()
    assert shown, "telephones of our own people rang"
    known.update(firm.known)
    return firm.said, shown


async def _search(url: str) -> list[str]:
    """Return where in any table of any schema the number or the address stands, as text or as bytes."""
    connection = await asyncpg.connect(url)
    found = []
    tables = await connection.fetch(
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    )
    for schema, table in tables:
        rows = await connection.fetch(f'select t::text as row from "{schema}"."{table}" t')
        found += [f"{schema}.{table}: {row['row'][:200]}" for row in rows if leaks(row["row"])]
    await connection.close()
    return found
