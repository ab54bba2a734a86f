"""What is tried again, and what never is."""

import dagster as dg
import httpx
import psycopg
import pytest

from orchestration import retry

PASSING = [
    psycopg.OperationalError("connection refused"),
    psycopg.errors.DeadlockDetected("deadlock detected"),
    psycopg.errors.AdminShutdown("terminating connection"),
    httpx.ConnectError("refused"),
    TimeoutError(),
]
LASTING = [
    psycopg.errors.InvalidPassword("password authentication failed"),
    psycopg.errors.UndefinedTable("no such table"),
    psycopg.errors.InsufficientPrivilege("permission denied"),
    ValueError("no number"),
]


def times_tried(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a step that meets this error each time under the policy; return how often it was begun."""
    monkeypatch.setattr(retry, "PAUSE", 0.0)
    begun = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=5))
    def step() -> None:
        begun.append(1)
        with retry.transient():
            raise error

    result = dg.materialize([step], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    assert not result.success
    return len(begun)


class TestTransient:
    @pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
    def test_what_may_pass_is_tried_again(self, error: Exception) -> None:
        with pytest.raises(dg.RetryRequested), retry.transient():
            raise error

    @pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
    def test_what_lasts_fails_for_good(self, error: Exception) -> None:
        with pytest.raises(dg.Failure) as failure, retry.transient():
            raise error

        assert failure.value.allow_retries is False

    def test_dagster_keeps_to_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert times_tried(ConnectionError(), monkeypatch) == 1 + retry.TRIES
        assert times_tried(ValueError("no number"), monkeypatch) == 1, "not even under a policy that would repeat it"
