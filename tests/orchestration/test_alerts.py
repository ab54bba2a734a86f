"""Alerts: once for a streak, once when it is over, by what the settings name."""

import threading
from datetime import timedelta
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import dagster as dg
import pytest

from crm.settings import settings
from orchestration import alerts, warehouse
from orchestration.defs.platform import alerting
from tests.conftest import NOW


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
        assert [message.text for message in well[0]] == [
            "lead_marts went well after 7 times when it failed, since 2026-03-03 09:30 UTC."
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
            event = next(
                e for e in reversed(result.all_events) if e.is_run_failure or e.event_type_value == "PIPELINE_SUCCESS"
            )
            run = instance.get_run_by_id(result.run_id)
            assert run
            context = dg.build_run_status_sensor_context("sensor", event, instance, run, repository_def=repository)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(alerts, "tell", told.append)
                if passed:
                    alerting.tell_of_recovery(context)
                else:
                    alerting.tell_of_failures(context.for_run_failure())

        assert sorted((message.owner, message.subject) for message in told) == [
            ("team:contact-centre", "Santral: raw/calls is to be looked at"),
            ("team:contact-centre", "Santral: raw/calls is well again"),
            ("team:sales-operations", "Santral: raw/leads fails"),
            ("team:sales-operations", "Santral: raw/leads is well again"),
        ]
        assert {message.subject: message.text for message in told}["Santral: raw/leads fails"].endswith(
            "UTC: bad leads\nReaders keep the last good numbers meanwhile."
        )


class Mailbox(StreamRequestHandler):
    """As much of a mail server as a letter needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        body = False
        for line in self.rfile:
            if body:
                self.server.letter += line  # type: ignore[attr-defined]
                body = line != b".\r\n"
                if body:
                    continue
            if line.upper().startswith(b"DATA"):
                body = True
            self.wfile.write(b"354 go on\r\n" if body else b"250 ok\r\n")
            if line.upper().startswith(b"QUIT"):
                return


class TestTell:
    def test_mails_the_owner_where_the_settings_know_one(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with TCPServer(("127.0.0.1", 0), Mailbox) as server:
            server.letter = b""  # type: ignore[attr-defined]
            threading.Thread(target=server.handle_request, daemon=True).start()
            monkeypatch.setenv("SANTRAL_SMTP_URL", f"smtp://127.0.0.1:{server.server_address[1]}")
            monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
            monkeypatch.setenv("SANTRAL_ALERT_EMAILS", '{"team:marketing": "ads@firm.example"}')
            settings.cache_clear()

            alerts.tell(alerts.Message("team:marketing", "Santral: ad_marts fails", "three times"))

            letter = server.letter  # type: ignore[attr-defined]
        assert b"To: ads@firm.example" in letter
        assert b"three times" in letter
        assert b"Owner: team:marketing" in letter

    def test_a_mail_server_that_is_gone_stops_nothing(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SANTRAL_SMTP_URL", "smtp://127.0.0.1:9")
        monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
        settings.cache_clear()

        alerts.tell(alerts.Message("team:data-platform", "Santral: lead_marts fails", "three times"))
