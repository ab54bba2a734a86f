"""Bars say what the numbers say, wherever they lie; what people wrote is text and never markup."""

import re
from html import unescape

import pytest
import streamlit as st
from markdown_it import MarkdownIt

from dashboards import markup
from dashboards.charts import BLUE, ORANGE
from dashboards.markup import VERMILLION
from dashboards.views import floor_queues


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup.charts, "is_dark", lambda: False)
    monkeypatch.setattr(st, "query_params", {"lang": "en"})


def pieces(html: str) -> dict[str, tuple[float, float]]:
    """Return where each colour begins and how wide it is, in percent."""
    found = re.findall(r"left:([\d.]+)%;width:([\d.]+)%;background:(#\w+)", html)
    return {colour: (float(left), float(width)) for left, width, colour in found}


class TestPlain:
    @pytest.mark.parametrize(
        "name",
        [
            "![](http://elsewhere.example/seen.png)",
            "[offer](http://elsewhere.example)",
            "<img src=x>",
            "**A** _b_ `c` $d$",
        ],
    )
    def test_shows_what_somebody_wrote_as_it_is(self, name: str) -> None:
        """A customer's name comes from a form that anybody fills in."""
        shown = MarkdownIt("gfm-like", {"linkify": False}).render(markup.plain(name))

        assert re.search("<(?!/?p>)", shown) is None
        assert unescape(shown).replace("\u2060", "").strip() == f"<p>{name}</p>"


class TestBullet:
    def test_is_blue_up_to_the_cap_and_orange_beyond(self):
        found = pieces(markup.bullet(0.015, 0.02, 0.045, 0.03, "said"))

        assert found == {BLUE: (25, 25), ORANGE: (50, 25)}

    def test_within_the_cap_nothing_is_orange(self):
        found = pieces(markup.bullet(0.0, 0.0, 0.018, 0.03, "said"))

        assert found == {BLUE: (0, 30), ORANGE: (50, 0)}

    @pytest.mark.parametrize(("low", "high"), [(0.04, 0.05), (0.3, 0.5), (0.031, 1.0)])
    def test_beyond_doubt_it_is_vermillion_and_stays_in_sight(self, low, high):
        [(colour, (left, width))] = pieces(markup.bullet(low, (low + high) / 2, high, 0.03, "said")).items()

        assert colour == VERMILLION
        assert 50 < left <= 94
        assert width > 0
        assert left + width <= 100.1


LINE = {
    "labels": {"en": "<script>alert(1)</script>"}, "code": "x", "depth": 0, "longest_wait_s": None, "n": 0,
    "service_level": None, "sl_s": 20, "sl_target": 0.8, "next_wait_s": None, "agents": {}, "is_paused": True,
    "is_overflowing": False,
}  # fmt: skip


class TestApart:
    def test_every_tip_has_a_name_of_its_own_the_same_at_each_refresh(self):
        lines = [LINE, LINE | {"code": "y"}]

        drawn = floor_queues.draw({"queues": lines})

        names = re.findall(r' id="([^"]+)"', drawn)
        assert len(names) == len(set(names)) == 10
        assert re.findall(r'aria-describedby="([^"]+)"', drawn) == names
        assert floor_queues.draw({"queues": lines}) == drawn


class TestText:
    def test_a_queue_named_like_markup_stays_text(self):
        drawn = floor_queues.draw({"queues": [LINE]})

        assert "<script>" not in drawn
        assert "&lt;script&gt;" in drawn
        assert "paused" in drawn
