"""Telephony for the leak crawler: real processes, a loopback exchange, and one person called every way there is.

What people write about the calls holds the person's number in words of their own: a note, answers, keys that are
pressed, reasons where a code belongs. What the carrier hears is its own affair; all else must not show it.
"""

import asyncio
import io
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from pydantic import SecretStr

from cli.processes import BIN
from crm import clock
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.api.conftest import token_of
from tests.conftest import Tenant
from tests.dialer.floor import may_call_always

SPEED = 20.0
SECRET = SecretStr("lab")
QUEUE = "sales"
AGENT, MANAGER = "PJSIP/agent-1", "PJSIP/agent-2"
PATIENT = Party(rings_s=1, stays_s=10_000, patience_s=10_000)
SETTINGS = {"labels": {"tr": "Satış", "en": "Sales"}, "hours": "always"}
LABELS = {"tr": "Arama", "en": "Call"}
SCRIPT = {
    "start": "ask",
    "steps": [
        {
            "key": "ask", "text": LABELS, "otherwise": "bye",
            "questions": [
                {"key": "other", "kind": "text", "label": LABELS, "is_required": False},
                {"key": "digits", "kind": "number", "label": LABELS, "is_required": False},
            ],
        },
        {"key": "bye", "text": LABELS, "ends": {"disposition": None}},
    ],
}  # fmt: skip


class Telephony:
    """A firm that telephones: clients of its people, the exchange, what was answered. `said`: every answer so far."""

    def __init__(self, base: str, tenant: Tenant, exchange: Exchange, phone: str, note: str) -> None:
        self.base, self.tenant, self.exchange, self.phone, self.note = base, tenant, exchange, phone, note
        self.said: list[str] = []
        self.known: dict[str, Any] = {}
        self.done: set[str] = set()

    async def ask(self, role: str, method: str, path: str, body: Any = None, *, ok: bool = True) -> Any:
        """Ask the API as somebody, and keep what it answered."""
        headers = {"Authorization": f"Bearer {token_of(self.tenant.actors[role])}"}
        async with httpx.AsyncClient(base_url=self.base, headers=headers, timeout=30) as client:
            answer = await client.request(method, path, json=body)
        self.said.append(f"{role} {method} {path.partition('?')[0]}: {dict(answer.headers)} {answer.text}")
        assert answer.is_success is ok, f"{role} {method} {path}: {answer.status_code} {answer.text[:500]}"
        is_json = answer.content and "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.content

    async def until(self, question: Callable[[], Any]) -> Any:
        """Wait until something is so, and return it."""
        async with asyncio.timeout(60):
            while not (found := await question()):
                await asyncio.sleep(0.1)
        return found

    async def call_in(self, status: str) -> str:
        """Wait until the latest call, which is not written up yet, stands so; return its id."""

        async def standing() -> str | None:
            latest = (await self.ask("admin", "GET", "/cdr?limit=1"))["items"][0]
            return latest["id"] if latest["status"] == status and latest["id"] not in self.done else None

        return str(await self.until(standing))

    async def write_up(self, call_id: str, code: str, **more: Any) -> None:
        """Say what came of a call, in words that hold the number."""
        await self.ask("sales_agent", "PUT", f"/cdr/{call_id}/disposition", {"code": code, "note": self.note, **more})
        self.done.add(call_id)

    async def open(self) -> None:
        """Hire, set up a queue and a script, and sign on."""
        for role, endpoint in (("sales_agent", AGENT), ("sales_manager", MANAGER)):
            who = self.tenant.actors[role].user_id
            await self.ask("admin", "PUT", f"/pbx/agents/{who}/endpoint", {"endpoint": endpoint})
        await self.ask("admin", "POST", "/queue", {"code": QUEUE, "settings": SETTINGS})
        process = await self.ask(
            "admin", "POST", "/process-master", {"key": "script", "labels": LABELS, "definition": SCRIPT}
        )
        await self.ask("admin", "POST", f"/process-master/{process['id']}/publish")
        self.known["process_id"] = process["id"]
        await self.ask("admin", "PUT", "/process-master/uses", {"purpose": "click", "process_id": process["id"]})
        await self.ask("sales_agent", "POST", "/pbx/agent/session")

    async def click(self, lead_id: str) -> None:
        """Call a lead, write the number down wherever one can, be listened to, hang up."""
        call_id = (await self.ask("sales_agent", "POST", f"/leads/{lead_id}/call", {}))["callId"]
        self.known["call_id"] = call_id
        await self.call_in("connected")
        answers = {"other": self.note, "digits": 5000}
        await self.ask("sales_agent", "PUT", f"/process-master/runs/{call_id}", {"answers": answers})
        await self.ask("sales_manager", "POST", f"/pbx/calls/{call_id}/listen", {"reason": "coaching"})
        await self.ask("sales_agent", "POST", f"/pbx/calls/{call_id}/tones", {"digits": self.phone[1:]})
        await asyncio.sleep(1)
        await self.provoke(call_id)
        await self.ask("sales_agent", "POST", f"/pbx/calls/{call_id}/hang-up")
        await self.call_in("wrap_up")
        later = (clock.utc_now() + timedelta(days=1)).isoformat()
        await self.write_up(call_id, "callback", callback_at=later)

    async def provoke(self, call_id: str) -> None:
        """Write the number where it has no business to be; it is refused, and not repeated."""
        who, calls = self.tenant.sales_agent.user_id, f"/pbx/calls/{call_id}"
        for role, method, path, body in (
            ("sales_agent", "POST", "/pbx/dial", {"lead_id": self.phone}),
            ("sales_agent", "POST", f"{calls}/tones", {"digits": f"{self.phone}x"}),
            ("sales_agent", "POST", f"{calls}/transfer", {"queue": self.phone}),
            ("sales_agent", "POST", f"{calls}/transfer", {"queue": self.phone[1:]}),
            ("sales_agent", "POST", f"{calls}/invite", {"agent_user_id": self.phone}),
            ("sales_manager", "POST", f"{calls}/whisper", {"reason": self.phone}),
            ("sales_manager", "POST", f"{calls}/whisper", {"reason": self.phone[1:]}),
            ("sales_agent", "PUT", "/pbx/agent/status", {"state": "paused", "reason": self.phone[1:]}),
            ("sales_agent", "PUT", f"/cdr/{call_id}/disposition", {"code": self.phone[1:]}),
            ("sales_agent", "PUT", f"/process-master/runs/{call_id}", {"answers": {self.phone: self.phone}}),
            ("sales_agent", "PUT", f"/process-master/runs/{call_id}", {"answers": {"digits": int(self.phone[1:])}}),
            ("admin", "PUT", f"/pbx/agents/{who}/endpoint", {"endpoint": f"PJSIP/{self.phone[1:]}@carrier"}),
            ("admin", "PUT", f"/pbx/agents/{who}/endpoint", {"endpoint": f"PJSIP/{self.phone[1:]}"}),
            ("admin", "POST", "/queue", {"code": self.phone[1:], "settings": SETTINGS}),
            ("admin", "POST", "/dialer/campaigns", {"code": self.phone[1:], "name": "x", "mode": "manual"}),
            ("admin", "POST", "/dialer/campaigns", {"code": "x", "name": "x", "mode": "manual",
                                                    "caller_id": f"{self.phone}99999"}),
            ("admin", "GET", f"/cdr?filter=queue:in:{self.phone[1:]}&sort={self.phone[1:]}", None),
        ):  # fmt: skip
            await self.ask(role, method, path, body, ok=False)

    async def call_in_and_be_served(self) -> None:
        """Let the person call us, speak with the agent, and be recorded."""
        self.exchange.call_in(QUEUE, self.phone, Party(stays_s=60, patience_s=10_000))
        call_id = await self.call_in("wrap_up")
        await self.write_up(call_id, "no_answer")

    async def be_called_by_a_campaign(self, lead_id: str) -> None:
        """Let a campaign dial the person."""
        body = {"code": "spring", "name": "Spring", "mode": "progressive", "queue": QUEUE}
        campaign = (await self.ask("admin", "POST", "/dialer/campaigns", body))["id"]
        self.known["campaign_id"] = campaign
        await self.ask("admin", "POST", f"/dialer/campaigns/{campaign}/load", {"lead_ids": [lead_id]})
        await self.ask("admin", "POST", f"/dialer/campaigns/{campaign}/start", {"override": "trial"})
        call_id = await self.call_in("connected")
        await self.ask("sales_agent", "POST", f"/pbx/calls/{call_id}/hang-up")
        await self.call_in("wrap_up")
        await self.write_up(call_id, "no_answer")

    async def play_recording(self) -> None:
        """Ask for the link of a recording, and use it twice."""
        call_id = self.known["call_id"]

        async def stored() -> Any:
            return (await self.ask("admin", "GET", f"/cdr/{call_id}"))["recordings"]

        [recording, *_] = await self.until(stored)
        self.known["recording_id"] = recording["id"]
        address = f"/cdr/{call_id}/recordings/{recording['id']}/link"
        link = await self.ask("admin", "POST", address, {"reason": "quality"})
        await self.ask("admin", "GET", link["url"])
        await self.ask("admin", "GET", link["url"], ok=False)

    async def export(self) -> None:
        """Take the records along in both forms, the second one read as it would be."""
        await self.ask("admin", "GET", "/cdr/export?format=csv")
        content = await self.ask("admin", "GET", "/cdr/export?format=parquet")
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
        assert len(rows) == 3, "the calls of every kind are exported"
        self.said.append(f"export: {json.dumps(rows, default=str)}")


@contextmanager
def processes(log: Path, *programs: str) -> Iterator[None]:
    """Have programs of the product run, their output in one file."""
    with ExitStack() as stack, log.open("ab") as out:
        for program in programs:
            process = subprocess.Popen([str(BIN / "santral"), program], stdout=out, stderr=out)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        yield


@asynccontextmanager
async def exchange(
    tenant: Tenant, spool: Path, patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Exchange, list[str]]]:  # fmt: skip
    """Have a loopback exchange whose people answer and stay, known to the product's processes.

    Yields it, and what our own people's telephones are shown of whom they speak with.
    """
    spool.mkdir()
    shown: list[str] = []
    await may_call_always(tenant, clock.utc_now())
    async with Exchange(
        username="santral", secret=SECRET, people=lambda _: PATIENT, speed=SPEED, recordings=spool
    ) as there:
        tell = there.board.tell

        def look(headers: list[tuple[str, str]]) -> None:
            shown.extend(_shown(dict(headers)))
            tell(headers)

        there.board.tell = look
        named = {
            "AMI_HOST": there.host, "AMI_PORT": str(there.port), "AMI_USERNAME": "santral",
            "AMI_SECRET": SECRET.get_secret_value(), "AMI_TENANT": "acme", "RECORDING_SPOOL": str(spool),
        }  # fmt: skip
        for name, value in named.items():
            patch.setenv(f"SANTRAL_{name}", value)
        yield there, shown


def _shown(event: dict[str, str]) -> Iterator[str]:
    """Yield what an event says of the displays of our people's telephones."""
    for leg in ("", "Dest"):
        if event.get(f"{leg}Channel", "").startswith("PJSIP/agent-") and f"{leg}ConnectedLineNum" in event:
            yield f"{event['Event']} {event[f'{leg}CallerIDNum']} {event[f'{leg}ConnectedLineNum']}"
