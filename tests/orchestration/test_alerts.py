"""Alerts: once for a streak, once when it is over, by what the settings name."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import dagster as dg
import psycopg
import pytest

from crm import clock
from crm.settings import settings
from orchestration import alerts, warehouse
from orchestration.defs.leads.gate import leads as gate
from orchestration.defs.platform import alerting
from tests.api.conftest import SignIn, app, sign_in
from tests.conftest import NOW, Tenant
from tests.orchestration.test_gates import leads as store
from tests.orchestration.test_gates import owner, past

__all__ = ["app", "owner", "past", "sign_in"]


def fail(run: str, *, causes: tuple[str, ...] = ("test:unique",), hours: int = 0) -> alerts.Message | None:
    with warehouse.connect() as connection:
        return alerts.failed(
            connection, "lead_marts", owner="team:sales-operations", said="a column is gone", causes=causes,
            run_id=run, now=NOW + timedelta(hours=hours),
        )  # fmt: skip


def recover(severity: str = "error") -> list[alerts.Message]:
    with warehouse.connect() as connection:
        return alerts.recovered(connection, [("lead_marts", severity), ("other", severity)], now=NOW)


class TestFailed:
    def test_tells_once_a_streak_when_more_joins_it_and_when_it_is_over(self, database: str) -> None:
        told = [fail("a"), fail("a"), fail("b"), fail("c"), fail("d")]
        more = [fail("e", causes=("test:other",)), fail("f"), fail("g", causes=("test:other",))]
        other = recover("warning")
        well = [recover(), recover()]
        anew = [fail("h"), fail("i")]

        assert [bool(message) for message in told] == [False, False, False, True, False], "one run counts once"
        assert told[3]
        assert told[3].text.startswith(
            "lead_marts failed 3 times in a row since 2026-03-03 09:30 UTC: a column is gone\n"
        )
        assert [bool(message) for message in more] == [True, False, False], "each cause is told of once"
        assert other == [], "an error is not over because a warning is"
        assert [message.text.split("\n\n") for message in well[0]] == [
            [
                "lead_marts went well after 7 times when it failed, since 2026-03-03 09:30 UTC.",
                "lead_marts yeniden yolunda: 03.03.2026 09.30 (UTC) anından beri 7 kez başarısız oldu.",
            ]
        ]
        assert (well[1], anew) == ([], [None, None])

    def test_what_nobody_was_told_of_recovers_in_silence(self, database: str) -> None:
        fail("a")

        assert recover() == []


def asset_with_check(name: str, owner: str, severity: dg.AssetCheckSeverity, verdict: dict[str, bool]) -> Any:
    """Return an asset whose check comes out as the verdict says; an error keeps what depends on it from being made."""
    key = dg.AssetKey(["raw", name])
    blocks = severity is dg.AssetCheckSeverity.ERROR
    spec = dg.AssetCheckSpec("gate", asset=key, blocking=blocks)

    @dg.asset(key=key, owners=[owner], check_specs=[spec])
    def made() -> dg.MaterializeResult:
        result = dg.AssetCheckResult(
            check_name="gate", passed=verdict["passed"], severity=severity, description=f"bad {name}"
        )
        return dg.MaterializeResult(check_results=[result])

    return made


def let_sensors_look(
    instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult, repository: dg.RepositoryDefinition
) -> None:
    """Do what the daemon does when a run has ended."""
    ends = ("PIPELINE_SUCCESS", "PIPELINE_FAILURE")
    event = next(each for each in reversed(result.all_events) if each.event_type_value in ends)
    run = instance.get_run_by_id(result.run_id)
    assert run
    context = dg.build_run_status_sensor_context("sensor", event, instance, run, repository_def=repository)
    if result.success:
        alerting.tell_of_recovery(context)
    else:
        alerting.tell_of_failures(context.for_run_failure())


class TestSensors:
    def test_each_owner_is_told_of_their_own_in_the_words_of_the_check(self, database: str) -> None:
        verdict = {"passed": False}
        leads = asset_with_check("leads", "team:sales-operations", dg.AssetCheckSeverity.ERROR, verdict)
        calls = asset_with_check("calls", "team:contact-centre", dg.AssetCheckSeverity.WARN, verdict)
        seen = asset_with_check("seen", "team:marketing", dg.AssetCheckSeverity.WARN, {"passed": True})
        repository = dg.Definitions(assets=[leads, calls, seen]).get_repository_def()
        instance, told = dg.DagsterInstance.ephemeral(), list[alerts.Message]()

        for passed in (False, False, False, True):
            verdict["passed"] = passed
            result = dg.materialize([leads, calls, seen], instance=instance, raise_on_error=False)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(alerts, "tell", told.append)
                let_sensors_look(instance, result, repository)

        assert sorted((message.owner, message.subject) for message in told) == [
            ("team:contact-centre", "Santral: raw/calls is to be looked at"),
            ("team:contact-centre", "Santral: raw/calls is well again"),
            ("team:sales-operations", "Santral: raw/leads fails"),
            ("team:sales-operations", "Santral: raw/leads is well again"),
        ]
        english, turkish = {message.subject: message.text for message in told}["Santral: raw/leads fails"].split("\n\n")
        assert english.endswith("UTC: bad leads\nReaders concerned keep the last good numbers meanwhile.")
        assert "art arda 3 kez başarısız oldu: tabloların sınamaları tutmuyor: gate\n" in turkish


class Mailbox(StreamRequestHandler):
    """As much of a mail server as a letter needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        letter, body = b"", False
        for line in self.rfile:
            if body and line != b".\r\n":
                letter += line.replace(b"\r\n", b"\n")
                continue
            if body:
                self.server.letters.append(message_from_bytes(letter, policy=default))  # type: ignore[attr-defined]
            body = line.upper().startswith(b"DATA")
            self.wfile.write(b"354 go on\r\n" if body else b"250 ok\r\n")
            if line.upper().startswith(b"QUIT"):
                return


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmailMessage]]:
    """What arrives at the mail server that the settings name."""
    with TCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.letters = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("SANTRAL_SMTP_URL", f"smtp://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
        monkeypatch.setenv("SANTRAL_ALERT_EMAILS", '{"team:marketing": "ads@firm.example"}')
        settings.cache_clear()
        yield server.letters  # type: ignore[attr-defined]
        server.shutdown()


class TestTell:
    def test_mails_the_owner_where_the_settings_know_one(self, database: str, letters: list[EmailMessage]) -> None:
        alerts.tell(alerts.Message("team:marketing", "Santral: ad_marts fails", "three times"))

        (letter,) = letters
        assert (letter["To"], letter["Subject"]) == ("ads@firm.example", "Santral: ad_marts fails")
        assert letter.get_content() == "three times\n\nOwner: team:marketing\n"

    def test_a_mail_server_that_is_gone_stops_nothing(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SANTRAL_SMTP_URL", "smtp://127.0.0.1:9")
        monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
        settings.cache_clear()

        alerts.tell(alerts.Message("team:data-platform", "Santral: lead_marts fails", "three times"))


class TestDeadSource:
    async def test_the_person_on_duty_reads_why_by_mail_and_on_screen_in_both_languages(
        self,
        owner: psycopg.Connection,
        past: None,
        tenant: Tenant,
        other_tenant: Tenant,
        sign_in: SignIn,
        letters: list[EmailMessage],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A form brings nothing for a day: each run sees it, the third tells; when days are good again, it is over."""
        store(owner, tenant, "spring", days_ago=0, count=8)
        manager, neighbour = sign_in(tenant.sales_manager), sign_in(other_tenant.sales_manager)
        instance, repository = dg.DagsterInstance.ephemeral(), dg.Definitions(assets=[gate]).get_repository_def()

        def run(days: int) -> None:
            monkeypatch.setattr(clock, "utc_now", lambda: NOW + timedelta(days=days))
            let_sensors_look(instance, dg.materialize([gate], instance=instance), repository)

        for _ in range(3):
            await asyncio.to_thread(run, 1)
        (shown,) = (await manager.get("/alerts")).json()["items"]
        others = (await neighbour.get("/alerts")).json()["items"]
        for day in range(1, 4):
            for form in ("spring", "winter"):
                store(owner, tenant, form, days_ago=-day, count=10)
        await asyncio.to_thread(run, 4)
        (over,) = (await manager.get("/alerts")).json()["items"]

        told, well = letters
        assert (told["To"], told["Subject"]) == ("duty@firm.example", "Santral: raw/leads is to be looked at")
        why = "acme, meta/winter, 2026-03-03: far fewer or far more leads than the form usually brings"
        why_tr = "acme, meta/winter, 2026-03-03: form olağandan çok daha az ya da çok daha fazla başvuru getirdi"
        assert f"3 times in a row since 2026-03-04 09:30 UTC: to be looked at: {why}\n" in told.get_content()
        assert f"art arda 3 kez incelemeye değer bulundu: incelenmesi gereken: {why_tr}\n" in told.get_content()
        assert (shown["sentence"], shown["sentence_tr"], shown["is_open"]) == (why, why_tr, True)
        assert others == [], "the neighbour's source lives"
        assert well["Subject"] == "Santral: raw/leads is well again"
        assert (over["id"], over["is_open"]) == (shown["id"], False)
