"""Calendars over HTTP."""

from datetime import timedelta

from crm import clock


def next_monday():
    today = clock.utc_now().date()
    return today + timedelta(days=7 - today.weekday())


class TestHours:
    async def test_are_set_from_a_date_on_and_shown(self, admin, tenant):
        monday = next_monday()
        hours = [{"weekday": 0, "opens": "22:00", "closes": "06:00"}]

        answer = await admin.put(
            "/calendars/hours", json={"hours": hours, "valid_from": str(monday), "team_id": str(tenant.team_id)}
        )

        assert answer.status_code == 200, answer.text
        assert answer.json()["items"][0]["hours"] == hours
        opening = await admin.get(
            "/calendars/open",
            params={"team_id": str(tenant.team_id), "since": f"{monday}T00:00:00Z", "until": f"{monday}T23:59:59Z"},
        )
        assert opening.json() == {
            "is_open": False, "next_opening": f"{monday}T19:00:00Z", "open_seconds": 5 * 3600 - 1
        }  # fmt: skip

    async def test_of_the_past_cannot_be_changed(self, admin):
        hours = [{"weekday": 0, "opens": "09:00", "closes": "18:00"}]

        answer = await admin.put("/calendars/hours", json={"hours": hours, "valid_from": str(clock.utc_now().date())})

        assert (answer.status_code, answer.json()["code"]) == (422, "calendar.past")

    async def test_are_not_for_agents_to_change(self, agent):
        hours = [{"weekday": 0, "opens": "09:00", "closes": "18:00"}]

        answer = await agent.put("/calendars/hours", json={"hours": hours, "valid_from": "2090-01-01"})

        assert answer.status_code == 403


class TestDays:
    async def test_say_what_holds_and_who_says_so(self, admin, tenant):
        year = clock.utc_now().year + 1
        await admin.put("/calendars/holidays", json={"country": "TR", "years": [year]})
        worked = {"day": f"{year}-04-23", "kind": "usual", "team_id": str(tenant.team_id)}
        await admin.put("/calendars/days", json=worked)

        params = {"since": f"{year}-04-01", "until": f"{year}-10-29", "team_id": str(tenant.team_id)}
        found = {day["day"]: day for day in (await admin.get("/calendars/days", params=params)).json()["items"]}

        assert (found[f"{year}-10-28"]["closed_from"], found[f"{year}-10-28"]["source"]) == ("13:00", "holidays:TR")
        assert found[f"{year}-10-29"]["labels"] == {"tr": "Cumhuriyet Bayramı", "en": "Republic Day"}
        assert (found[f"{year}-04-23"]["kind"], found[f"{year}-04-23"]["source"]) == ("usual", "own")

    async def test_warn_of_dates_that_are_not_published_yet(self, admin):
        seeded = (await admin.put("/calendars/holidays", json={"country": "TR", "years": [2040]})).json()

        assert seeded["days"] > len(seeded["estimated"]) > 5
        params = {"since": "2040-01-01", "until": "2040-12-31"}
        shown = (await admin.get("/calendars/days", params=params)).json()["items"]
        assert [day["day"] for day in shown if day["is_estimated"]] == seeded["estimated"]

    async def test_refuse_a_country_nobody_knows(self, admin):
        answer = await admin.put("/calendars/holidays", json={"country": "XX", "years": [2027]})

        assert (answer.status_code, answer.json()["code"]) == (422, "calendar.country_unknown")
