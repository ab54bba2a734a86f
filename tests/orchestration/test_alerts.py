"""Alerts: once for a streak, once when it is over, by what the settings name."""

import threading
from datetime import timedelta
from socketserver import StreamRequestHandler, TCPServer

import dagster as dg
import pytest

from crm.settings import settings
from orchestration import alerts, warehouse
from orchestration.defs.platform import alerting
from tests.conftest import NOW


def fail(run: str, *, after: int = alerts.AFTER, hours: int = 0) -> alerts.Message | None:
    with warehouse.connect() as connection:
        return alerts.failed(
            connection, "lead_marts", owner="team:data-platform", said="a column is gone", run_id=run, after=after,
            now=NOW + timedelta(hours=hours),
        )  # fmt: skip


def recover() -> list[alerts.Message]:
    with warehouse.connect() as connection:
        return alerts.recovered(connection, ["lead_marts", "other"], now=NOW)


class TestFailed:
    def test_tells_once_a_streak_and_when_it_is_over(self, database: str) -> None:
        told = [fail("a"), fail("a"), fail("b"), fail("c"), fail("d")]
        well = [recover(), recover()]
        anew = [fail("e"), fail("f")]

        assert [bool(message) for message in told] == [False, False, False, True, False], "one run counts once"
        assert told[3]
        assert told[3].text.startswith(
            "lead_marts failed 3 times in a row since 2026-03-03 09:30 UTC: a column is gone\n"
        )
        assert [message.text for message in well[0]] == [
            "lead_marts went well after 4 failures since 2026-03-03 09:30 UTC."
        ]
        assert (well[1], anew) == ([], [None, None])

    def test_what_nobody_was_told_of_recovers_in_silence(self, database: str) -> None:
        fail("a")

        assert recover() == []


class TestSensors:
    def test_a_closed_gate_is_told_in_its_own_words(self, database: str, caplog: pytest.LogCaptureFixture) -> None:
        verdict = {"passed": False}
        key = dg.AssetKey(["raw", "leads"])

        @dg.asset(key=key, check_specs=[dg.AssetCheckSpec("gate", asset=key, blocking=True)])
        def leads() -> dg.MaterializeResult:
            result = dg.AssetCheckResult(check_name="gate", passed=verdict["passed"], description="no ad ids")
            return dg.MaterializeResult(check_results=[result])

        @dg.asset(deps=[leads])
        def mart() -> None: ...

        instance = dg.DagsterInstance.ephemeral()
        told = []
        for passed in (False, False, False, True):
            verdict["passed"] = passed
            result = dg.materialize([leads, mart], instance=instance, raise_on_error=False)
            event = next(
                e for e in reversed(result.all_events) if e.is_run_failure or e.event_type_value == "PIPELINE_SUCCESS"
            )
            context = dg.build_run_status_sensor_context("sensor", event, instance, result.dagster_run)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(alerts, "tell", told.append)
                if passed:
                    alerting.tell_of_recovery(context)
                else:
                    alerting.tell_of_failures(context.for_run_failure())

        assert [message.subject for message in told] == [
            "Santral: raw__leads fails",
            "Santral: raw__leads is well again",
        ]
        assert "no ad ids" in told[0].text


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
    def test_mails_whoever_the_settings_name(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with TCPServer(("127.0.0.1", 0), Mailbox) as server:
            server.letter = b""  # type: ignore[attr-defined]
            threading.Thread(target=server.handle_request, daemon=True).start()
            monkeypatch.setenv("SANTRAL_SMTP_URL", f"smtp://127.0.0.1:{server.server_address[1]}")
            monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
            settings.cache_clear()

            alerts.tell(alerts.Message("team:data-platform", "Santral: lead_marts fails", "three times"))

            letter = server.letter  # type: ignore[attr-defined]
        assert b"To: duty@firm.example" in letter
        assert b"three times" in letter
        assert b"Owner: team:data-platform" in letter

    def test_a_mail_server_that_is_gone_stops_nothing(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SANTRAL_SMTP_URL", "smtp://127.0.0.1:9")
        monkeypatch.setenv("SANTRAL_ALERT_EMAIL", "duty@firm.example")
        settings.cache_clear()

        alerts.tell(alerts.Message("team:data-platform", "Santral: lead_marts fails", "three times"))
