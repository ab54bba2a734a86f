"""Asking the Google Ads API, through Google's own client over gRPC, for one connection: submissions and clicks.

The API knows times as the account's local ones. Its client is big, so that it is imported when it is asked.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from crm.inbox.connections import Connection
from crm.inbox.reading import NotNow, Unusable
from crm.settings import settings

VERSION = "v26"
PATIENCE = 20.0
"""Seconds the Ads API may take to answer."""
LIMITED = timedelta(minutes=5)
"""How long to wait when a limit is reached and no time is named."""
PASSES = frozenset({"internal_error", "database_error"})
"""Kinds of error of trouble of its own, which passes."""
TOKEN = frozenset({"authentication_error"})
GCLID = re.compile(r"[A-Za-z0-9_\-]{1,400}")
PLACE = re.compile(r"geoTargetConstants/\d{1,20}")
HOUR = timedelta(hours=1)

SUBMISSIONS = """
SELECT lead_form_submission_data.id, lead_form_submission_data.asset, lead_form_submission_data.campaign,
       lead_form_submission_data.ad_group, lead_form_submission_data.ad_group_ad, lead_form_submission_data.gclid,
       lead_form_submission_data.submission_date_time, lead_form_submission_data.lead_form_submission_fields,
       lead_form_submission_data.custom_lead_form_submission_fields, campaign.id, campaign.name
  FROM lead_form_submission_data
 WHERE lead_form_submission_data.submission_date_time >= '{since:%Y-%m-%d %H:%M:%S}'
   AND lead_form_submission_data.submission_date_time < '{until:%Y-%m-%d %H:%M:%S}'
 ORDER BY lead_form_submission_data.submission_date_time LIMIT {limit}
"""
CLICKS = """
SELECT click_view.gclid, click_view.keyword_info.text, click_view.area_of_interest.city,
       click_view.area_of_interest.region, click_view.area_of_interest.country,
       click_view.location_of_presence.city, click_view.location_of_presence.region,
       click_view.location_of_presence.country, segments.date
  FROM click_view WHERE segments.date = '{day}' AND click_view.gclid IN ({gclids})
"""
PLACES = """
SELECT geo_target_constant.resource_name, geo_target_constant.name FROM geo_target_constant
 WHERE geo_target_constant.resource_name IN ({places})
"""


@dataclass(frozen=True, slots=True)
class Click:
    """What is known of a click: the keyword it came by, and the place it was about or came from."""

    keyword: str | None
    geography: str | None


class AdsClient:
    """Asks the Ads API with an access token. Its calls wait: use it in a thread of its own."""

    def __init__(self, connection: Connection, token: str) -> None:
        from google.ads.googleads.client import GoogleAdsClient
        from google.oauth2.credentials import Credentials

        # The client would log queries and answers, which hold clicks and people.
        logging.getLogger("google.ads.googleads").setLevel(logging.CRITICAL)
        secrets = connection.secrets
        self._customer = secrets["customer_id"].replace("-", "")
        client = GoogleAdsClient(
            credentials=Credentials(token=token),
            developer_token=secrets["developer_token"],
            login_customer_id=secrets.get("login_customer_id", "").replace("-", "") or None,
            endpoint=settings().google_ads_endpoint or None,
            version=VERSION,
            use_proto_plus=True,
        )
        self._service = client.get_service("GoogleAdsService")
        self._zone: tzinfo | None = None

    @property
    def zone(self) -> tzinfo:
        """The account's time zone, asked for once."""
        if self._zone is None:
            [row] = self._search("SELECT customer.time_zone FROM customer LIMIT 1")
            self._zone = ZoneInfo(row["customer"]["timeZone"])
        return self._zone

    def submissions(self, *, since: datetime, until: datetime, limit: int) -> list[dict[str, Any]]:
        """Return form submissions of a window (UTC, `until` not included) as the API tells them, earliest first.

        Where clocks are set back an hour is there twice: the window then holds both.

        :raises Unusable: when they cannot be had.
        :raises NotNow: when the API does not answer, has had enough of us, or wants a new token.
        """
        begin, end = earliest(since, self.zone), latest(until, self.zone)
        return list(self._search(SUBMISSIONS.format(since=begin, until=end, limit=limit)))

    def clicks(self, day: date, gclids: Collection[str]) -> dict[str, Click]:
        """Return what is known of clicks of one day of the account's: the API tells no more than a day at once.

        :raises Unusable: see `submissions`.
        :raises NotNow: see `submissions`.
        """
        wanted = sorted({each for each in gclids if GCLID.fullmatch(each)})
        if not wanted:
            return {}
        quoted = ", ".join(f"'{each}'" for each in wanted)
        views = [row["clickView"] for row in self._search(CLICKS.format(day=day.isoformat(), gclids=quoted))]
        places = {view["gclid"]: _place(view) for view in views}
        names = self._names({place for place in places.values() if place})
        return {
            view["gclid"]: Click(view.get("keywordInfo", {}).get("text"), names.get(places[view["gclid"]] or ""))
            for view in views
        }

    def _names(self, places: Collection[str]) -> dict[str, str]:
        wanted = sorted(place for place in places if PLACE.fullmatch(place))
        if not wanted:
            return {}
        rows = self._search(PLACES.format(places=", ".join(f"'{each}'" for each in wanted)))
        found = [row["geoTargetConstant"] for row in rows]
        return {each["resourceName"]: each["name"] for each in found if each.get("name")}

    def _search(self, query: str) -> Iterator[dict[str, Any]]:
        from google.protobuf.json_format import MessageToDict

        with refusals():
            request = {"customer_id": self._customer, "query": " ".join(query.split())}
            for row in self._service.search(request=request, timeout=PATIENCE, retry=None):
                yield MessageToDict(type(row).pb(row))


def _place(view: Mapping[str, Any]) -> str | None:
    """Return the narrowest place of a click: what the search was about, else where the person was."""
    named = (view.get("areaOfInterest", {}), view.get("locationOfPresence", {}))
    return next((area[part] for area in named for part in ("city", "region", "country") if area.get(part)), None)


def earliest(at: datetime, zone: tzinfo) -> datetime:
    """Return an instant as the local time from which on nothing that came later is missed."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return local - HOUR if _is_twice(local, zone) else local


def latest(at: datetime, zone: tzinfo) -> datetime:
    """Return an instant as the local time before which nothing that came earlier is missed."""
    local = at.astimezone(zone).replace(tzinfo=None)
    return local + HOUR if _is_twice(local, zone) else local


def _is_twice(local: datetime, zone: tzinfo) -> bool:
    return local.replace(tzinfo=zone, fold=0).utcoffset() != local.replace(tzinfo=zone, fold=1).utcoffset()


def access_token(connection: Connection) -> tuple[str, datetime | None]:
    """Return a fresh access token for the connection's refresh token, and when it ends (UTC). It waits, as above.

    :raises NotNow: when Google does not answer, or will not have the refresh token any more.
    """
    from google.auth.exceptions import GoogleAuthError, RefreshError
    from google.auth.transport.requests import Request
    from google.oauth2.credentials import Credentials

    class Quick(Request):  # type: ignore[misc]
        """Google's transport, with our patience."""

        def __call__(self, *given: Any, **more: Any) -> Any:
            return super().__call__(*given, **{**more, "timeout": PATIENCE})

    secrets = connection.secrets
    credentials = Credentials(
        None, refresh_token=secrets["refresh_token"], client_id=secrets["client_id"],
        client_secret=secrets["client_secret"], token_uri=settings().google_token_url,
    )  # fmt: skip
    try:
        credentials.refresh(Quick())
    except RefreshError as error:
        raise NotNow("google.busy" if error.retryable else "google.token") from None
    except GoogleAuthError:
        raise NotNow("google.unreachable") from None
    return credentials.token, credentials.expiry.replace(tzinfo=UTC) if credentials.expiry else None


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the client raises into our words; its own may hold queries and answers."""
    from google.ads.googleads.errors import GoogleAdsException
    from google.api_core import exceptions as api

    try:
        yield
    except GoogleAdsException as error:
        raise _refusal(error) from None
    except api.ResourceExhausted:
        raise NotNow("google.limited", wait=LIMITED) from None
    except (api.Unauthenticated, api.Unauthorized):
        raise NotNow("google.token") from None
    except (api.ServiceUnavailable, api.GatewayTimeout, api.RetryError):
        raise NotNow("google.unreachable") from None
    except (api.ServerError, api.Aborted, api.TooManyRequests):
        raise NotNow("google.busy") from None
    except api.GoogleAPICallError:
        raise Unusable("google.refused", by_provider=True) from None
    except (KeyError, TypeError, ValueError):
        raise Unusable("google.malformed", by_provider=True) from None


def _refusal(error: Any) -> NotNow | Unusable:
    kinds: set[str] = set()
    waits: list[timedelta] = []
    for each in error.failure.errors:
        raw = type(each).pb(each)
        kinds.add(raw.error_code.WhichOneof("error_code") or "unknown")
        seconds = raw.details.quota_error_details.retry_delay.seconds
        waits += [timedelta(seconds=seconds)] if seconds else []
    if kinds & TOKEN:
        return NotNow("google.token")
    if "quota_error" in kinds:
        return NotNow("google.limited", wait=max(waits, default=LIMITED))
    if kinds and kinds <= PASSES:
        return NotNow("google.busy")
    return Unusable(f"google.refused_{min(kinds, default='unknown')}", by_provider=True)
