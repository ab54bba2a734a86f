"""A Google Ads API on loopback, with the real one's own messages, for tests: it tells submissions and clicks.

It speaks gRPC over TLS under a certificate that signs itself; clients trust it by `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`.
It reads of a query what ours ask: the resource, the window, the day and clicks, the limit; and holds to the real one's
rule that clicks are told by the day.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.types.google_ads_service import (
    GoogleAdsRow,
    SearchGoogleAdsRequest,
    SearchGoogleAdsResponse,
)

METHOD = "/google.ads.googleads.v26.services.GoogleAdsService/Search"
FAILURE = "google.ads.googleads.v26.errors.googleadsfailure-bin"
FORM = "%Y-%m-%d %H:%M:%S"


@dataclass
class Ads:
    """What the server knows. `refuse_with` makes it answer an error: a status and a kind of error with its value."""

    access_token: str
    developer_token: str
    time_zone: str = "Europe/Istanbul"
    submissions: list[GoogleAdsRow] = field(default_factory=list)
    clicks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """By day and gclid: a click view's fields."""
    places: dict[str, str] = field(default_factory=dict)
    refuse_with: tuple[grpc.StatusCode, Mapping[str, Any]] | None = None
    queries: list[str] = field(default_factory=list)
    most: int | None = None
    """Answers before it refuses everything, when something is to go wrong in the middle."""

    def submit(self, lead_id: str, fields: Mapping[str, str], *, at: datetime, **more: Any) -> None:
        """Keep a submission; `more` are further fields of it (`gclid`, `campaign`, `custom`: question → answer)."""
        local = at.astimezone(ZoneInfo(self.time_zone))
        offset = local.strftime("%z")
        custom = [{"question_text": q, "field_value": a} for q, a in more.pop("custom", {}).items()]
        campaign = more.pop("campaign", None)
        submission = {
            "resource_name": f"customers/1234567890/leadFormSubmissionData/{lead_id}",
            "id": lead_id,
            "submission_date_time": f"{local.strftime(FORM)}{offset[:3]}:{offset[3:]}",
            "lead_form_submission_fields": [{"field_type": kind, "field_value": v} for kind, v in fields.items()],
            "custom_lead_form_submission_fields": custom,
            **({"campaign": f"customers/1234567890/campaigns/{campaign[0]}"} if campaign else {}),
            **more,
        }
        named = {"campaign": {"id": campaign[0], "name": campaign[1]}} if campaign else {}
        self.submissions.append(GoogleAdsRow(lead_form_submission_data=submission, **named))

    def answer(self, query: str) -> list[GoogleAdsRow] | str:
        """Return the rows of a query, or the kind of error that it deserves."""
        resource = re.search(r"FROM (\w+)", query)
        match resource and resource[1]:
            case "customer":
                return [GoogleAdsRow(customer={"time_zone": self.time_zone})]
            case "lead_form_submission_data":
                return self._submissions(query)
            case "click_view":
                return self._clicks(query)
            case "geo_target_constant":
                wanted = re.findall(r"geoTargetConstants/\d+", query)
                known = [(each, self.places[each]) for each in wanted if each in self.places]
                return [GoogleAdsRow(geo_target_constant={"resource_name": r, "name": name}) for r, name in known]
        return "UNRECOGNIZED_RESOURCE"

    def _submissions(self, query: str) -> list[GoogleAdsRow]:
        since, until = (re.search(rf"submission_date_time {sign} '([^']+)'", query) for sign in (">=", "<"))
        limit = re.search(r"LIMIT (\d+)", query)
        rows = sorted(self.submissions, key=lambda row: str(row.lead_form_submission_data.submission_date_time))
        kept = [
            row
            for row in rows
            if (not since or row.lead_form_submission_data.submission_date_time[:19] >= since[1])
            and (not until or row.lead_form_submission_data.submission_date_time[:19] < until[1])
        ]
        return kept[: int(limit[1])] if limit else kept

    def _clicks(self, query: str) -> list[GoogleAdsRow] | str:
        day = re.search(r"segments\.date = '(\d{4}-\d\d-\d\d)'", query)
        if not day:
            return "EXPECTED_FILTERS_ON_SINGLE_DAY"
        wanted = re.findall(r"'([^']+)'", query.split(" IN ")[1])
        known = [(each, self.clicks[day[1], each]) for each in wanted if (day[1], each) in self.clicks]
        return [GoogleAdsRow(click_view={"gclid": gclid, **view}) for gclid, view in known]


def _handler(ads: Ads) -> grpc.GenericRpcHandler:
    def search(request: SearchGoogleAdsRequest, context: grpc.ServicerContext) -> SearchGoogleAdsResponse:
        told = dict(context.invocation_metadata())
        ads.queries.append(request.query)
        if ads.refuse_with:
            _refuse(context, *ads.refuse_with)
        if ads.most is not None and len(ads.queries) > ads.most:
            _refuse(context, grpc.StatusCode.UNAVAILABLE, {})
        if told.get("authorization") != f"Bearer {ads.access_token}":
            _refuse(context, grpc.StatusCode.UNAUTHENTICATED, {"authentication_error": "OAUTH_TOKEN_INVALID"})
        if told.get("developer-token") != ads.developer_token:
            _refuse(context, grpc.StatusCode.PERMISSION_DENIED, {"authorization_error": "DEVELOPER_TOKEN_PROHIBITED"})
        rows = ads.answer(request.query)
        if isinstance(rows, str):
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, {"query_error": rows})
        return SearchGoogleAdsResponse(results=rows)

    method = grpc.unary_unary_rpc_method_handler(
        search,
        request_deserializer=SearchGoogleAdsRequest.deserialize,
        response_serializer=SearchGoogleAdsResponse.serialize,
    )

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        """Routes the one method there is."""

        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return method if details.method == METHOD else None

    return Handler()


def _refuse(context: grpc.ServicerContext, status: grpc.StatusCode, kind: Mapping[str, Any]) -> None:
    if kind:
        failure = GoogleAdsFailure(errors=[{"error_code": dict(kind), "message": "An error was asked for."}])
        context.set_trailing_metadata(((FAILURE, GoogleAdsFailure.serialize(failure)),))
    context.abort(status, "An error was asked for.")


def certificate(folder: Path) -> Path:
    """Make a certificate for localhost that signs itself, with its key beside it, and return its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = folder / "localhost.pem"
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place.with_suffix(".key").write_bytes(secret)
    return place


@contextmanager
def serving(ads: Ads, trusted: Path) -> Iterator[str]:
    """Serve over TLS under a certificate of `certificate` for as long as the block lasts; yield host and port."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_handler(ads),))
    credentials = grpc.ssl_server_credentials([(trusted.with_suffix(".key").read_bytes(), trusted.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)
