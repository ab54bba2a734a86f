"""/alerts: what was told, why in both languages, and nothing of another firm's."""

from datetime import timedelta
from typing import Any

import httpx
import psycopg

from crm import ids
from tests.api.conftest import SignIn
from tests.conftest import NOW, Tenant

ALERT = """
insert into ops.alert (id, subject, owner, severity, failures, causes, said, run_id, first_at, last_at, told_at,
                       recovered_at)
values (%(id)s, %(subject)s, 'team:sales-operations', %(severity)s, 3, %(causes)s, 'acme and globex are held', 'run-1',
        %(at)s, %(at)s, %(told)s, %(recovered)s)
"""
HOLD = """
insert into ops.quarantine (tenant_id, feed, set_key, label, rules, reasons, reasons_tr, weight, status, since,
                            judged_at)
values (%(tenant)s, 'raw/leads', %(label)s, %(label)s, '{leads.ad}', '{no ad id}', '{reklam kimliği yok}', 8,
        %(status)s, %(at)s, %(at)s)
"""


def store(owner: psycopg.Connection, subject: str, causes: list[str], **more: Any) -> None:
    """Store an alert that was told of at the moment it began."""
    row = {"id": ids.new(), "subject": subject, "causes": causes, "severity": "error", "at": NOW, "recovered": None}
    owner.execute(ALERT, row | {"told": more.get("at", NOW)} | more)


class TestListAlerts:
    async def test_tells_why_in_both_languages_and_what_is_over(
        self, database: str, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn
    ) -> None:
        with psycopg.connect(database.replace("+asyncpg", ""), autocommit=True) as owner:
            for firm, label, status in (
                (tenant, "acme, meta/spring", "held"), (tenant, "acme, meta/old", "warned"),
                (other_tenant, "globex, meta/x", "held"),
            ):  # fmt: skip
                owner.execute(HOLD, {"tenant": firm.id, "label": label, "status": status, "at": NOW})
            gate, later = ["test:keeps_to_the_rules", "set:1", f"closed:{tenant.id}"], NOW + timedelta(hours=1)
            store(owner, "raw/leads", gate)
            store(owner, "lead_marts", ["test:unique_a", "error:OperationalError"], at=later, recovered=later)
            store(owner, "raw/calls", gate, at=later, severity="warning")
            store(owner, "raw/imports", gate, told=None)
        supervisor, agent = sign_in(tenant.sales_manager), sign_in(tenant.sales_agent)
        neighbour = sign_in(other_tenant.sales_manager)

        every = await listed(supervisor)
        still = await listed(supervisor, is_open=True)
        first = (await supervisor.get("/alerts", params={"limit": 1})).json()
        rest = (await supervisor.get("/alerts", params={"cursor": first["next_cursor"]})).json()
        (theirs,) = (await neighbour.get("/alerts", params={"is_open": True})).json()["items"]
        with psycopg.connect(database.replace("+asyncpg", ""), autocommit=True) as owner:
            owner.execute("update ops.quarantine set status = 'released', released_at = %s where status = 'held'"
                          " and tenant_id = %s", (later, tenant.id))  # fmt: skip
        mended = await listed(supervisor, is_open=True)
        (theirs_still,) = (await neighbour.get("/alerts", params={"is_open": True})).json()["items"]

        told = {alert["subject"]: (alert["sentence"], alert["sentence_tr"], alert["is_open"]) for alert in every}
        assert told == {
            "raw/leads": ("acme, meta/spring: no ad id", "acme, meta/spring: reklam kimliği yok", True),
            "lead_marts": (
                "tests of tables do not hold: unique_a; the step ended with OperationalError",
                "tabloların sınamaları tutmuyor: unique_a; adım OperationalError ile bitti",
                False,
            ),
        }, "a gate that holds nothing of theirs is no news to a firm"
        assert [alert["subject"] for alert in still] == ["raw/leads"]
        assert [*first["items"], *rest["items"]] == every
        assert (still[0]["severity"], theirs["severity"]) == ("error", "warning"), "it is closed for one of them alone"
        assert theirs["sentence"] == theirs_still["sentence"] == "globex, meta/x: no ad id"
        assert mended == [], "it is over for whom it is mended"
        assert (len(first["items"]), rest["next_cursor"]) == (1, None)
        assert (await agent.get("/alerts")).status_code == 403


async def listed(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    """Return the alerts of one page."""
    found: list[dict[str, Any]] = (await client.get("/alerts", params=asked)).json()["items"]
    assert "globex" not in str(found)
    return found
