"""Saved views over HTTP, and what the list tells a screen about itself."""

import pytest

VIEW = {"name": "Hot", "filters": ["status:in:new,interested", 'tags:any:"vip"'], "fields": ["id", "status"]}


class TestViews:
    async def test_are_saved_in_one_form_changed_and_deleted(self, admin):
        made = await admin.post("/views", json=VIEW)
        view = made.json()["id"]
        changed = await admin.patch(f"/views/{view}", json={"name": "Hotter", "sort": "updated_at"})
        listed = (await admin.get("/views")).json()["items"]
        leads = await admin.get("/leads", params={"filter": changed.json()["filters"], "sort": changed.json()["sort"]})
        deleted = await admin.delete(f"/views/{view}")

        assert made.status_code == 201
        assert made.json()["filters"] == ["status:in:new,interested", "tags:any:vip"]
        assert [(each["name"], each["sort"], each["is_mine"]) for each in listed] == [("Hotter", "updated_at", True)]
        assert leads.status_code == 200
        assert deleted.status_code == 204
        assert (await admin.get(f"/views/{view}")).json()["code"] == "view.not_found"

    async def test_ones_own_are_ones_own_and_shared_ones_everybodys(self, admin, agent):
        own = (await admin.post("/views", json=VIEW)).json()["id"]
        shared = (await admin.post("/views", json={**VIEW, "is_shared": True})).json()["id"]

        assert [each["id"] for each in (await agent.get("/views")).json()["items"]] == [shared]
        assert (await agent.get(f"/views/{own}")).status_code == 404
        assert (await agent.patch(f"/views/{own}", json={"name": "x"})).status_code == 404
        assert (await agent.patch(f"/views/{shared}", json={"name": "x"})).status_code == 403
        assert (await agent.delete(f"/views/{shared}")).status_code == 403
        assert (await agent.post("/views", json={**VIEW, "is_shared": True})).status_code == 403

    async def test_names_are_there_once(self, admin, agent):
        await admin.post("/views", json=VIEW)
        other = (await admin.post("/views", json={**VIEW, "name": "Cold"})).json()["id"]

        again = await admin.post("/views", json=VIEW)
        renamed = await admin.patch(f"/views/{other}", json={"name": "Hot"})
        others = await agent.post("/views", json=VIEW)
        shared = await admin.post("/views", json={**VIEW, "is_shared": True})

        assert [each.status_code for each in (again, renamed, others, shared)] == [409, 409, 201, 201]
        assert again.json()["code"] == "view.name_taken"

    async def test_ones_own_default_goes_before_the_shared_one(self, admin, agent):
        assert (await agent.get("/views/default")).json() == {"view": None}
        await admin.post("/views", json={**VIEW, "name": "Everybody", "is_shared": True, "is_default": True})
        first = (await agent.get("/views/default")).json()["view"]["name"]
        await agent.post("/views", json={**VIEW, "name": "One", "is_default": True})
        await agent.post("/views", json={**VIEW, "name": "Two", "is_default": True})

        assert first == "Everybody"
        assert (await agent.get("/views/default")).json()["view"]["name"] == "Two"
        mine = [each for each in (await agent.get("/views")).json()["items"] if each["is_mine"]]
        assert [each["is_default"] for each in mine] == [False, True]
        assert (await admin.get("/views/default")).json()["view"]["name"] == "Everybody"

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"filters": ["status:in:odd"]}, 422, "filter.invalid"),
            ({"filters": ["phone:eq:+905321234567"]}, 422, "filter.personal"),
            ({"filters": ["import:is:set"]}, 403, "filter.not_allowed"),
            ({"fields": ["import_id"]}, 403, "list.column_not_allowed"),
            ({"fields": ["secret"]}, 422, "invalid"),
            ({"sort": "name"}, 422, "invalid"),
            ({"name": ""}, 422, "invalid"),
        ],
    )
    async def test_refuses_what_the_list_would_refuse(self, agent, change, status, code):
        answer = await agent.post("/views", json={**VIEW, **change})

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["field_errors"]


class TestColumns:
    async def test_say_what_a_screen_and_assistive_technology_need(self, admin, agent):
        turkish = (await admin.get("/leads/columns")).json()
        english = (await admin.get("/leads/columns", headers={"Accept-Language": "en"})).json()
        agents = (await agent.get("/leads/columns")).json()

        by_key = {each["key"]: each for each in turkish["columns"]}
        assert by_key["received_at"]["aria_sort"] == "descending"
        assert by_key["updated_at"]["aria_sort"] == "none"
        assert by_key["status"]["aria_sort"] is None
        assert by_key["contact"]["cell_role"] == "rowheader"
        assert {each["role"] for each in turkish["columns"]} == {"columnheader"}
        assert all(each["labels"]["tr"] and each["labels"]["en"] for each in turkish["columns"] + turkish["filters"])
        assert turkish["skeleton"] | {"label": ""} == english["skeleton"] | {"label": ""}
        assert by_key["owner"]["label"] == "Sorumlu"
        assert "import_id" in by_key
        assert "import_id" not in {each["key"] for each in agents["columns"]}
        assert "import" not in {each["name"] for each in agents["filters"]}

    async def test_every_documented_filter_answers(self, admin):
        described = (await admin.get("/leads/columns")).json()["filters"]
        value = {"id": "01890000-0000-7000-8000-000000000000", "number": "1", "phone": "+905321234567",
                 "email": "ada@mail.example", "instant": "2026-03-05"}  # fmt: skip
        for each in described:
            for operator in each["operators"]:
                one = each["words"] if operator == "is" else each["choices"] or [value.get(each["type"], "some")]
                wanted = "last_7d" if operator == "during" else one[0]
                answer = await admin.post("/leads/search", json={"filter": [f"{each['name']}:{operator}:{wanted}"]})

                assert answer.status_code == 200, (each["name"], operator, answer.text)
