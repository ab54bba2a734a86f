"""Creating a lead through HTTP against pgbench running the identical SQL.

Ours: token, tenant, encrypted phone and e-mail, exact dedupe, timeline, event, audit row, idempotency key, trace,
metrics, JSON in and out. Baseline: the same statement with the same kind of values under the same role and tenant,
opened and committed the same way; ids and blind indexes are made by the server instead of by us.
"""

import json
import random
import uuid
from collections.abc import Iterator

from bench import http_load, pgbench, product, report
from crm.leads import storing
from crm.settings import APP_ROLE, settings

ROUNDS = 5
PER_ROUND = 4000
ALONE = 800


def main() -> None:
    """Print throughput at 8 clients and p95 at one client, each against pgbench in the same run."""
    with product.database():
        firm = product.run(product.make_firm())
        url = settings().role_url(APP_ROLE).render_as_string(hide_password=False)
        script = _script(firm)
        bodies = _bodies()
        with product.api() as port:

            def ours(count: int, clients: int) -> http_load.Load:
                token = firm.token()
                load = http_load.run(port, [next(bodies)(token) for _ in range(count)], clients=clients)
                assert load.refused == 0, f"{load.refused} requests were refused"
                return load

            ours(PER_ROUND, 8)
            pgbench.run(url, script, clients=8, transactions=PER_ROUND)
            rates, p95s, absolute = [], [], []
            for _ in range(ROUNDS):
                base = pgbench.run(url, script, clients=8, transactions=PER_ROUND)
                mine = ours(PER_ROUND, 8)
                rates.append(mine.rate / base.rate)
                absolute.append((mine.rate, base.rate))
                base = pgbench.run(url, script, clients=1, transactions=ALONE)
                mine = ours(ALONE, 1)
                p95s.append((report.percentile(mine.latencies, 0.95), report.percentile(base.latencies, 0.95)))
    report.remark("one API process, 8 keep-alive connections; pgbench 8 connections, prepared; fsync on")
    report.remark(
        f"leads/s through HTTP {report.median_of([a for a, _ in absolute]):.0f}, "
        f"by pgbench {report.median_of([b for _, b in absolute]):.0f}"
    )
    ours_p95, base_p95 = (report.median_of(each) * 1e3 for each in zip(*p95s, strict=True))
    report.remark(f"one client: p95 {ours_p95:.2f} ms through HTTP, {base_p95:.2f} ms by pgbench")
    report.figure("create_lead.throughput_of_pgbench.8_clients", rates, 0.30, at_least=True)
    report.figure("create_lead.p95_of_pgbench.1_client", [a / b for a, b in p95s], 4.0, at_least=False)


def _bodies() -> Iterator:
    """Yield makers of one request each, every one another person."""
    rng = random.Random(7)
    while True:
        subscriber = rng.randrange(5_300_000_000, 5_599_999_999)
        body = json.dumps(
            {
                "source": "bench", "name": "Ayşe Yılmaz", "phone": f"+90{subscriber}",
                "email": f"a{rng.getrandbits(48):x}@example.com", "platform": "meta", "campaign": "c1", "form": "f1",
                "external_id": uuid.UUID(int=rng.getrandbits(128)).hex,
            }
        ).encode()  # fmt: skip
        key = uuid.UUID(int=rng.getrandbits(128)).hex

        def make(token: str, body: bytes = body, key: str = key) -> bytes:
            headers = [("Idempotency-Key", key)]
            return http_load.request("POST", "/leads", token=token, body=body, headers=headers)

        yield make


def _script(firm: product.Firm) -> str:
    """Return pgbench's script: the product's own statement with each argument replaced by a value like ours."""
    fixed = [
        f"'{firm.tenant_id}'", f"'{firm.user_id}'", "(select uuidv7())", "now()", "(select gen_random_uuid())::text",
        "'POST /leads'",
        "decode(repeat('ab', 32), 'hex')",
    ]  # fmt: skip
    values = {
        "lead_id": "uuidv7()", "candidate": "uuidv7()", "activity_id": "uuidv7()", "name": "'Ayşe Yılmaz'",
        "name_search": "'ayse yilmaz'", "country": "'TR'", "key_id": "gen_random_uuid()", "phone_id": "uuidv7()",
        "phone_index": "sha256(uuid_send(gen_random_uuid()))", "phone_sealed": "decode(repeat('ab', 41), 'hex')",
        "phone_masked": "'+90 ••• ••• •• 67'", "email_id": "uuidv7()",
        "email_index": "sha256(uuid_send(gen_random_uuid()))", "email_sealed": "decode(repeat('ab', 53), 'hex')",
        "email_masked": "'a•••@example.com'", "consented": "''", "opted_out": "''", "source": "'bench'",
        "external_id": "gen_random_uuid()::text", "status": "'new'", "platform": "'meta'", "campaign": "'c1'",
        "form": "'f1'", "tags": "''", "acquired_at": "now()", "is_test": "false",
    }  # fmt: skip
    arguments = [f"({value})" for value in fixed]
    arguments += [f"array[{values.get(name, 'null')}]" for name in storing.COLUMNS]
    statement = storing.STORE
    for number in range(len(arguments), 0, -1):
        statement = statement.replace(f"${number}::", f"{arguments[number - 1]}::")
    flat = " ".join(statement.split())
    opened = f"begin;\nset local app.tenant_id = '{firm.tenant_id}';"
    return f"\\startpipeline\n{opened}\n\\endpipeline\n{flat};\ncommit;\n"
