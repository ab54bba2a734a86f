"""Experiments through HTTP."""

from typing import Any

from crm import clock, db
from crm.leads import intake
from crm.leads.intake import NewLead
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant

DESIGN: dict[str, Any] = {
    "key": "opening",
    "hypothesis": "A shorter opening sells more; ask ada@mail.example",
    "variants": [{"key": "long", "script": "opening.long"}, {"key": "short", "script": "opening.short", "share": 3}],
}


class TestExperiments:
    async def test_are_designed_started_exposed_read_out_and_stopped(
        self, tenant: Tenant, admin: Client, sign_in: SignIn
    ) -> None:
        [lead] = await db.run(
            tenant.system, lambda tx: intake.create_many(tx, [NewLead(source="api")], now=clock.utc_now())
        )

        made = await admin.post("/experiments", json=DESIGN, headers={"Idempotency-Key": "x-1"})
        again = await admin.post("/experiments", json=DESIGN, headers={"Idempotency-Key": "x-1"})
        path = f"/experiments/{made.json()['id']}"
        early = await admin.put(f"/leads/{lead.lead_id}/experiments/opening")
        redesigned = await admin.put(path, json={**without(DESIGN, "key"), "alpha": 0.01})
        started = await admin.post(f"{path}/start")
        late = await admin.put(path, json=without(DESIGN, "key"))
        got = [await admin.put(f"/leads/{lead.lead_id}/experiments/opening") for _ in range(2)]
        of_lead = (await admin.get(f"/leads/{lead.lead_id}/experiments")).json()["items"]
        said = (await admin.get(f"{path}/readout")).json()
        untold = (await sign_in(tenant.analyst).get(f"{path}/readout")).json()
        lost = await admin.post(f"{path}/stop", json={"winner": "neither"})
        stopped = await admin.post(f"{path}/stop", json={"winner": "short"})

        assert (made.status_code, made.content == again.content) == (201, True)
        assert "@" not in made.json()["hypothesis"]
        assert (early.status_code, early.json()["code"]) == (409, "experiment.not_running")
        assert (redesigned.json()["alpha"], started.json()["status"]) == (0.01, "running")
        assert (late.status_code, late.json()["code"]) == (409, "experiment.not_draft")
        assert got[0].json() == got[1].json()
        assert [(row["key"], row["variant"]) for row in of_lead] == [("opening", got[0].json()["key"])]
        assert sorted(row["exposures"] for row in said["variants"]) == [0, 1]
        assert {row["exposures"] for row in untold["variants"]} == {None, 0}, "one person is not told, nobody is"
        assert any(row["is_suppressed"] for row in untold["variants"])
        assert said["variants"][1]["sentence"].keys() == {"tr", "en"}
        assert (said["variants"][1]["verdict"], said["outcomes_as_of"]) == ("nothing_decided", None)
        assert (lost.status_code, list(lost.json()["field_errors"])) == (422, ["winner"])
        assert (stopped.json()["status"], stopped.json()["winner"]) == ("stopped", "short")

    async def test_name_the_field_at_fault(self, admin: Client) -> None:
        wrong = {**DESIGN, "split": "team"}

        response = await admin.post("/experiments", json=wrong)

        assert (response.status_code, response.json()["code"]) == (422, "experiment.invalid")
        assert "variants.0.team_id" in response.json()["field_errors"]

    async def test_are_read_by_managers_and_managed_by_administrators(
        self, tenant: Tenant, admin: Client, sign_in: SignIn
    ) -> None:
        manager, path = (
            sign_in(tenant.sales_manager),
            f"/experiments/{(await admin.post('/experiments', json=DESIGN)).json()['id']}",
        )

        assert (await manager.get(f"{path}/readout")).status_code == 200
        assert (await manager.post(f"{path}/start")).status_code == 403


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}
