"""The page that Streamlit ships, as we hand it out."""

import re

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from dashboards import app, own_words


@pytest.fixture
def client() -> TestClient:
    """A browser before our pages, behind which something else answers."""
    return TestClient(app.Rooted(PlainTextResponse("behind")))


class TestRooted:
    def test_no_other_site_may_show_a_page_inside_its_own(self, client):
        page = client.get("/funnel", headers={"Accept": "text/html"})

        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"

    def test_what_draws_charts_and_tables_is_fetched_early_from_where_it_lies(self, client):
        page = client.get("/", headers={"Accept": "text/html"}).text

        named = re.findall(r'"/static/js/([\w-]+)\.([\w-]+)\.js"', page)
        assert tuple(name for name, _ in named) == app.SOON, "this Streamlit has each of them, and once"

    def test_this_streamlit_says_each_word_that_is_put_into_turkish(self):
        said = "".join(file.read_text() for file in (app.STATIC / "static" / "js").glob("*.js"))

        assert [text for text in own_words.OWN if f"`{text}`" not in said and f'"{text}"' not in said] == []

    def test_passes_on_what_is_no_page(self, client):
        assert client.get("/_stcore/health").text == "behind"
