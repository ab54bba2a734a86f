"""Files over HTTP: taken at once, imported by a worker, handed back where they could not be taken."""

import csv
import io

import pytest

from crm import db
from ingestion.files import running
from tests.ingestion.files.conftest import HEADER, PLAN, as_csv, row

FILE = [row(1), row(2), row(3, Phone="12", City="=1+1"), row(4, Phone=row(1)[2])]


async def send(client, rows=FILE, **form):
    files = {"file": ("fair.csv", as_csv(rows).getvalue(), "text/csv")}
    return await client.post(
        "/import/leads", files=files, data={"mapping": PLAN, **form}, headers=form.pop("headers", {})
    )


async def work(tenant) -> None:
    """Do what a worker does with the jobs that wait."""
    async with db.transaction(tenant.system) as tx:
        waiting = await tx.fetch("select args from jobs.procrastinate_jobs where task_name = 'import.run' order by id")
    for job in waiting:
        await running.import_upload(tenant.system, import_id=job["args"]["import_id"])


class TestUpload:
    async def test_is_taken_and_imported_by_the_worker(self, admin, tenant):
        answer = await send(admin)

        assert answer.status_code == 202
        assert answer.json()["status"] == "queued"
        await work(tenant)
        done = (await admin.get(answer.headers["Location"])).json()
        assert [done[name] for name in ("status", "read", "created", "merged", "unchanged", "rejected")] == [
            "done", 4, 2, 1, 0, 1,
        ]  # fmt: skip
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 3
            assert await tx.fetchval("select count(*) from crm.import_upload") == 0
            who = await tx.fetchval("select array_agg(distinct actor_user_id) from crm.audit_log")
        assert who == [tenant.admin.user_id]

    async def test_a_job_that_is_done_again_changes_nothing(self, admin, tenant):
        await send(admin)

        await work(tenant)
        await work(tenant)

        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 3

    async def test_the_same_key_is_one_import(self, admin, tenant):
        files = {"file": ("fair.csv", as_csv(FILE).getvalue(), "text/csv")}
        both = [
            await admin.post("/import/leads", files=files, data={"mapping": PLAN}, headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]

        assert both[0].json() == both[1].json()
        assert both[0].headers["Location"] == both[1].headers["Location"]
        assert len((await admin.get("/import")).json()["items"]) == 1

    async def test_a_dry_run_stores_no_lead(self, admin, tenant):
        answer = await send(admin, dry_run="true")

        await work(tenant)

        done = (await admin.get(answer.headers["Location"])).json()
        assert [done[name] for name in ("is_dry_run", "read", "created", "merged", "rejected")] == [True, 4, 2, 1, 1]
        assert "=1+1" in (await admin.get(done["report"])).text
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 0

    async def test_a_file_that_does_not_fit_fails_with_a_sentence(self, admin, tenant):
        files = {"file": ("x.csv", b"A,B\n1,2\n", "text/csv")}
        answer = await admin.post("/import/leads", files=files, data={"mapping": PLAN})

        await work(tenant)

        failed = (await admin.get(answer.headers["Location"])).json()
        assert failed["status"] == "failed"
        assert "the file has no column 'City', 'Id'" in failed["last_error"]

    @pytest.mark.parametrize(("mapping", "sentence"), [("nowhere", "no mapping of that name"), ("source: 1", "source")])
    async def test_refuses_a_mapping_that_cannot_be_used(self, admin, mapping, sentence):
        answer = await send(admin, mapping=mapping)

        assert answer.status_code == 422
        assert answer.json()["code"] == "import.mapping-invalid"
        assert sentence in answer.json()["message"]

    async def test_takes_a_mapping_that_comes_along(self, admin):
        assert (await send(admin, mapping="x_education")).json()["source"] == "x_education"

    async def test_is_nothing_for_agents(self, agent):
        assert (await send(agent)).status_code == 403


class TestReport:
    async def test_can_be_mended_and_sent_again(self, sign_in, tenant):
        manager = sign_in(tenant.sales_manager)
        sent = await send(manager)
        await work(tenant)

        report = await manager.get(f"{sent.headers['Location']}/report")
        header, line = csv.reader(io.StringIO(report.content.decode("utf-8-sig")))
        assert header == [*HEADER, "error"]
        assert line[header.index("City")] == "'=1+1"
        line[header.index("Phone")] = "0532 000 00 03"
        again = await manager.post(
            "/import/leads",
            files={"file": ("fair.csv", as_csv([line], header).getvalue(), "text/csv")},
            data={"mapping": PLAN},
        )
        await work(tenant)

        assert (await manager.get(again.headers["Location"])).json()["created"] == 1

    async def test_hides_addresses_from_who_did_not_send_them(self, sign_in, admin, tenant):
        sent = await send(admin, [row(1, Phone="0532 12", Mail="ayse@example.com")])
        await work(tenant)

        seen = (await sign_in(tenant.compliance_auditor).get(f"{sent.headers['Location']}/report")).text

        assert "ayse@example.com" not in seen
        assert "Ayşe 1" in seen
        async with db.transaction(tenant.system) as tx:
            last = "select actor_user_id, metadata_json->>'is_clear' from crm.audit_log order by id desc limit 1"
            assert tuple(await tx.fetchrow(last)) == (tenant.compliance_auditor.user_id, "false")


async def test_lists_the_latest_first(admin):
    for _ in range(3):
        await send(admin)

    first = (await admin.get("/import?limit=2")).json()
    rest = (await admin.get("/import", params={"limit": 2, "cursor": first["next_cursor"]})).json()

    ids = [each["id"] for each in first["items"] + rest["items"]]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    assert rest["next_cursor"] is None


class TestCalls:
    PLAN = """
kind: calls
source: old_exchange
delimiter: "\t"
fields: {external_id: Id, queue: Queue, began_at: Began, talk_s: Talk}
ending: {column: End, values: {agent: served}}
"""

    async def test_are_taken_and_stored_as_history(self, admin, tenant):
        content = (
            b"Id\tQueue\tBegan\tTalk\tEnd\n7\tsales\t2025-03-03T10:00:00+03:00\t60\tagent\n8\tsales\t?\t6\tagent\n"
        )
        files = {"file": ("calls.tsv", content, "text/tab-separated-values")}

        answer = await admin.post("/import/calls", files=files, data={"mapping": self.PLAN})
        await work(tenant)

        assert answer.status_code == 202, answer.text
        done = (await admin.get(answer.headers["Location"])).json()
        assert [done[name] for name in ("status", "read", "created", "rejected")] == ["done", 2, 1, 1]
        report = (await admin.get(f"{answer.headers['Location']}/report")).text
        assert "Began: not an instant in the format iso" in report
        [call] = (await admin.get("/cdr")).json()["items"]
        assert (call["source"], call["talk_s"]) == ("historical", 60.0)

    @pytest.mark.parametrize(
        ("address", "mapping"), [("/import/leads", "bank_calls"), ("/import/calls", "x_education")]
    )
    async def test_a_mapping_of_the_other_kind_is_refused(self, admin, address, mapping):
        files = {"file": ("a.csv", b"Id\n1\n", "text/csv")}

        answer = await admin.post(address, files=files, data={"mapping": mapping})

        assert (answer.status_code, answer.json()["code"]) == (422, "import.mapping-invalid")
