"""`santral inbox` as it is called: by its own command, against a real database."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crm import clock, db
from crm.inbox import connections
from crm.inbox import operations as inbox
from crm.inbox.connections import Source
from tests.crm.inbox.conftest import GOOGLE, META

SANTRAL = Path(sys.executable).parent / "santral"


def santral(*words, code=0):
    done = subprocess.run([SANTRAL, "inbox", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
async def letters(tenant):
    """Ids of three messages that were given up, the last for a reason of its own."""
    now = clock.utc_now()
    made = await db.run(
        tenant.admin, lambda tx: connections.create(tx, source=Source.google, name="g", secrets=GOOGLE, now=now)
    )
    connection = await db.run(tenant.system, lambda tx: connections.load(tx, made))
    for n in range(3):
        await db.run(tenant.system, lambda tx, n=n: inbox.receive(tx, connection, str(n).encode(), now=now))
    claimed = await db.run(tenant.system, lambda tx: inbox.claim(tx, at_most=5, now=now))
    for each, reason in zip(claimed, ["google.malformed", "google.malformed", "lead.unreachable"], strict=True):
        await db.run(
            tenant.system,
            lambda tx, each=each, reason=reason: inbox.give_up(tx, each, reason, now=now),
        )
    return [str(each.id) for each in claimed]


class TestList:
    async def test_shows_dead_letters_and_why(self, letters):
        rows = json.loads(santral("list", "--json"))
        of_one = json.loads(santral("list", "--json", "--reason", "lead.unreachable"))

        assert [(row["id"], row["last_error"]) for row in rows][::-1] == list(
            zip(letters, ["google.malformed", "google.malformed", "lead.unreachable"], strict=True)
        )
        assert [row["id"] for row in of_one] == [letters[2]]
        assert "google.malformed" in santral("list")

    async def test_counts_reasons(self, letters):
        reasons = json.loads(santral("reasons", "--json"))

        assert [(row["reason"], row["messages"]) for row in reasons] == [
            ("google.malformed", 2),
            ("lead.unreachable", 1),
        ]
        assert "0 waiting, 3 given up" in " ".join(santral("connections").split())


class TestReplay:
    async def test_takes_ids(self, letters):
        assert json.loads(santral("replay", letters[0], letters[2], "--json")) == {"messages": 2}
        assert [row["id"] for row in json.loads(santral("list", "--json"))] == [letters[1]]

    async def test_takes_a_reason_or_all(self, letters):
        assert json.loads(santral("replay", "--reason", "google.malformed", "--json")) == {"messages": 2}
        assert "1 messages" in santral("replay", "--all")
        assert json.loads(santral("list", "--json")) == []

    async def test_wants_to_know_which(self, letters):
        assert "--all" in santral("replay", code=2)


class TestBackfill:
    async def test_is_wanted_with_its_window(self, tenant):
        now = clock.utc_now()
        made = await db.run(
            tenant.admin, lambda tx: connections.create(tx, source=Source.meta, name="m", secrets=META, now=now)
        )

        told = json.loads(
            santral("backfill", made, "--form", "9", "--since", "2026-02-01", "--until", "2026-03-01", "--json")
        )

        listed = json.loads(santral("connections", "--json"))
        [pulled] = json.loads(santral("pulls", made, "--json"))
        refused = santral("backfill", made, "--since", "2026-02-01", code=1)
        assert "form: the id of the form" in refused
        assert (pulled["id"], pulled["status"], pulled["form"]) == (told["id"], "running", "9")
        assert (told["status"], told["since"]) == ("running", "2026-01-31 21:00:00+00:00")
        assert [(each["id"], each["token"]["outlook"]) for each in listed] == [(str(made), "unknown")]
        assert "unknown" in santral("connections")
