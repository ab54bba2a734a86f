"""Schemathesis over the whole OpenAPI: no server error, and no answer outside the contract.

A real server, an administrator's token, requests that fit the description and requests that do not. The description is
read from the server, so a route added later is tried without a word here.
"""

import asyncio
import os
import time

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from tests.api.conftest import token_of
from tests.conftest import Tenant

BUDGET = float(os.environ.get("SANTRAL_CONTRACT_SECONDS", "60"))
"""Seconds of trying; they are shared out over the operations, each of which is tried at least a few times."""

NOT_OURS = ("positive_data_acceptance", "negative_data_rejection")
"""Rules of the business refuse what fits the schema, and numbers are taken when written as text: both on purpose."""


def walk(base: str, token: str) -> list[str]:
    """Try every operation; return what was wrong."""
    load_all_checks()
    checks = [check for check in CHECKS.get_all() if check.__name__ not in NOT_OURS]
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json", timeout=60)
    operations = [found.ok() for found in schema.get_all_operations()]
    share = BUDGET / (2 * len(operations))
    wrong: list[str] = []
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            wrong += _try(operation, mode, checks, token, share)
    return wrong


def _try(operation, mode, checks, token: str, share: float) -> list[str]:
    ends = time.monotonic() + share
    tries = 0

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def once(case: schemathesis.Case) -> None:
        nonlocal tries
        if tries >= 3 and time.monotonic() > ends:
            return
        tries += 1
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=checks, timeout=120)

    try:
        once()
    except Unsatisfiable:
        return []  # nothing can be sent that does not fit: no parameters, no body
    except BaseExceptionGroup as failures:
        return [f"{operation.label} ({mode.value}): {failure}" for failure in failures.exceptions]
    except Exception as failure:
        return [f"{operation.label} ({mode.value}): {failure!r}"]
    return []


@pytest.mark.usefixtures("parsed")
class TestContract:
    async def test_holds_for_whatever_is_sent(self, tenant: Tenant, live: str) -> None:
        wrong = await asyncio.to_thread(walk, f"http://{live}", token_of(tenant.admin))

        assert wrong == [], "\n\n".join(wrong)
