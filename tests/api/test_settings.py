"""Settings through HTTP."""

from datetime import timedelta

from crm import clock
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant


class TestSettings:
    async def test_are_listed_with_their_kind(self, admin: Client) -> None:
        items = {item["key"]: item for item in (await admin.get("/settings")).json()["items"]}

        zone = items["tenant.timezone"]
        assert (zone["value"], zone["schema"]["type"], zone["labels"]["tr"]) == (
            "Europe/Istanbul", "string", "Saat dilimi",
        )  # fmt: skip
        assert zone["version"] == 0

    async def test_are_changed_by_administrators_with_the_version_they_read(
        self, tenant: Tenant, admin: Client, sign_in: SignIn
    ) -> None:
        read = (await admin.get("/settings/tenant.currency")).json()

        changed = await admin.put("/settings/tenant.currency", json={"value": "EUR", "version": read["version"]})
        late = await admin.put("/settings/tenant.currency", json={"value": "USD", "version": read["version"]})
        manager = await sign_in(tenant.sales_manager).put("/settings/tenant.currency", json={"value": "USD"})
        history = (await admin.get("/settings/tenant.currency/history")).json()["items"]

        assert (changed.json()["value"], changed.json()["set_by"]) == ("EUR", str(tenant.admin.user_id))
        assert (late.status_code, late.json()["code"], manager.status_code) == (409, "setting.moved_on", 403)
        assert [(row["value"], row["set_by_name"]) for row in history] == [("EUR", "admin"), ("TRY", None)]

    async def test_take_what_they_show_and_refuse_nonsense_in_words(self, admin: Client) -> None:
        items = (await admin.get("/settings")).json()["items"]

        for item in items:
            path = f"/settings/{item['key']}"
            same = await admin.put(path, json={"value": item["value"]})
            wrong = await admin.put(path, json={"value": {"no": ["such", "thing"]}})

            assert (same.status_code, same.json().get("version")) == (200, 0), same.text
            assert (wrong.status_code, wrong.json()["code"]) == (422, "setting.invalid"), item["key"]
            assert all(field.startswith("value") for field in wrong.json()["field_errors"]), wrong.text
        assert len(items) > 12

    async def test_name_the_field_at_fault(self, admin: Client) -> None:
        soon = (clock.utc_now() + timedelta(days=1)).isoformat()

        wrong = await admin.put("/settings/tenant.country", json={"value": "XX"})
        planned = await admin.put("/settings/tenant.country", json={"value": "DE", "valid_from": soon})
        unknown = await admin.put("/settings/no.such", json={"value": 1})

        assert (wrong.status_code, list(wrong.json()["field_errors"])) == (422, ["value"])
        assert (planned.status_code, list(planned.json()["field_errors"])) == (422, ["valid_from"])
        assert (unknown.status_code, unknown.json()["code"]) == (404, "setting.not_found")
