"""Numbers, shares, spans and instants, by the language of the visit; and every text in both languages."""

import pytest
import streamlit as st

from crm.callbacks.rows import SHOWN
from crm.calls import catalogue
from crm.calls.story import Outcome
from crm.consent.rules import Reason
from crm.leads.lifecycle import LOSS_REASONS
from crm.routing.settings import QUEUED
from dashboards import words
from dashboards.views import lead


@pytest.fixture(params=["tr", "en"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(st, "query_params", {"lang": request.param})
    return str(request.param)


def in_language(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(st, "query_params", {"lang": name})


class TestTexts:
    def test_every_text_is_there_in_both_languages_with_the_same_gaps(self):
        import string

        for key, (turkish, english) in words.WORDS.items():
            assert turkish, key
            assert english, key
            gaps = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (turkish, english)]
            assert gaps[0] == gaps[1], key

    def test_whatever_a_timeline_says_has_a_word(self):
        reasons = {*LOSS_REASONS, *Reason, *(f"auto.{status}" for status in QUEUED.default)}
        wanted = {f"kind.callback.{happened}" for happened in SHOWN} | {f"reason.{reason}" for reason in reasons}

        assert wanted - words.WORDS.keys() == set()

    def test_what_came_of_a_call_is_said_whoever_says_it(self, monkeypatch):
        in_language(monkeypatch, "tr")
        codes = {*catalogue.DEFAULT, *Outcome, *Reason} - {"open"}

        unsaid = {code for code in codes if lead.outcome(code) == code.replace("_", " ")}

        assert unsaid == set()

    def test_a_code_without_a_word_stays_readable(self, language):
        assert words.name_of("outcome", "left_message") == "left message"


class TestNumbers:
    @pytest.mark.parametrize(
        ("name", "number", "share", "span"),
        [("tr", "12.345", "%7,9", "5,5 sa"), ("en", "12,345", "7.9%", "5.5 h")],
    )
    def test_are_written_as_the_language_does(self, monkeypatch, name, number, share, span):
        in_language(monkeypatch, name)

        assert words.number(12345) == number
        assert words.share(0.0789) == share
        assert words.span(19800) == span

    def test_no_data_is_a_dash_and_zero_is_zero(self, language):
        assert words.number(None) == words.share(None) == words.span(None) == words.instant(None) == "–"
        assert words.number(0) == "0"

    def test_a_running_time_is_a_clock_and_from_a_day_on_days(self, monkeypatch):
        in_language(monkeypatch, "tr")

        assert [words.clock(each) for each in (0, 7.9, 83, 3600, 86399)] == [
            "0:00",
            "0:07",
            "1:23",
            "1:00:00",
            "23:59:59",
        ]
        assert words.clock(3 * 86400) == "3 gün"
        assert words.clock(None) == "–"

    def test_instants_are_told_on_the_clinics_clock(self, monkeypatch):
        in_language(monkeypatch, "tr")

        assert words.instant("2026-11-20T21:30:00Z") == "21 Kas 00:30"
