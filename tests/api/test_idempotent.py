"""The same creating request sent twice, through HTTP and at the same time."""

import asyncio

from crm import db
from tests.api.conftest import Client, SignIn
from tests.conftest import Tenant

KEY = {"Idempotency-Key": "one-key"}


class TestIdempotencyKey:
    async def test_lets_one_of_many_at_once_do_it_and_gives_the_others_its_answer(
        self, tenant: Tenant, admin: Client
    ) -> None:
        answers = await asyncio.gather(*(admin.post("/teams", json={"name": "İzmir"}, headers=KEY) for _ in range(6)))

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" in answer.headers for answer in answers) == 5
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.event_log where event_type = 'team.created'") == 1

    async def test_does_not_keep_a_refusal(self, tenant: Tenant, admin: Client) -> None:
        taken = await admin.post("/teams", json={"name": "Sales"}, headers=KEY)
        free = await admin.post("/teams", json={"name": "İzmir"}, headers=KEY)

        assert (taken.status_code, free.status_code) == (409, 201)

    async def test_refuses_another_body_or_route_under_the_same_key(self, tenant: Tenant, admin: Client) -> None:
        await admin.post("/teams", json={"name": "İzmir"}, headers=KEY)

        body = await admin.post("/teams", json={"name": "Ankara"}, headers=KEY)
        route = await admin.post(
            "/users/invitations", json={"email": "a@mail.example", "roles": ["analyst"]}, headers=KEY
        )

        assert [answer.status_code for answer in (body, route)] == [409, 409]
        assert {answer.json()["code"] for answer in (body, route)} == {"idempotency.conflict"}

    async def test_counts_spaces_and_order_of_fields_for_nothing(self, admin: Client) -> None:
        headers = {**KEY, "Content-Type": "application/json"}
        first = await admin.post("/teams", content=b'{"name":"A","region":"B"}', headers=headers)
        again = await admin.post("/teams", content=b'{ "region": "B",  "name": "A" }', headers=headers)

        assert first.content == again.content
        assert "idempotent-replayed" in again.headers

    async def test_is_each_persons_own(self, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn) -> None:
        ours = await sign_in(tenant.admin).post("/teams", json={"name": "A"}, headers=KEY)
        theirs = await sign_in(other_tenant.admin).post("/teams", json={"name": "B"}, headers=KEY)

        assert (ours.status_code, theirs.status_code) == (201, 201)

    async def test_must_be_printable(self, admin: Client) -> None:
        response = await admin.post("/teams", json={"name": "A"}, headers={"Idempotency-Key": "a key"})

        assert (response.status_code, list(response.json()["field_errors"])) == (422, ["Idempotency-Key"])
