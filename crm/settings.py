"""Settings from the environment: `SANTRAL_*` and `DATABASE_URL`. Nothing is read at import."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url

from crm import errors
from crm.derive import derive

APP_ROLE = "santral_app"
PIPELINE_ROLE = "santral_pipeline"
BI_ROLES = ("bi_reader", "bi_finance", "analyst_pseudo")
"""What a BI tool's login may belong to: figures; those and money; those and single steps of pseudonymous people."""


class NotConfigured(errors.CrmError):
    """A setting that has no default is missing."""

    code = "not_configured"


class Settings(BaseSettings):
    """What a process needs to know. Secrets have no default: `santral up` makes one secret for its own home."""

    model_config = SettingsConfigDict(env_prefix="SANTRAL_", extra="ignore", populate_by_name=True)

    database_url: str = Field("", validation_alias="DATABASE_URL")
    """The owner's address of the database (postgresql://owner:password@host/santral), PostgreSQL 15 or newer."""
    keys_database_url: str = ""
    """The owner's address of the database of people's keys; empty: `<main>_keys` on the same server."""
    secret: SecretStr = SecretStr("")
    """One secret (32 random bytes, base64) from which every key and database password is derived by purpose."""
    home: Path = Path(".santral")
    """State of this checkout: embedded database, object folder, logs, Dagster home."""
    environment: Literal["demo", "production"] = "production"
    log_level: str = "INFO"
    host: str = "127.0.0.1"
    api_port: int = 8000
    dashboard_port: int = 8501
    dagster_port: int = 3000
    dagster_host: str = "127.0.0.1"
    """Where Dagster listens, which asks nobody who they are and shows every firm: not where `host` does."""
    dagster_name: str = ""
    """The name under which people open it, where that is no address and not `localhost`."""
    api_url: str = "http://127.0.0.1:8000"
    """Where clients of the API (dashboards, probes) find it."""
    graph_url: str = "https://graph.facebook.com"
    """Base address of Meta's Graph API; the demo and tests point it at a loopback server."""
    google_ads_endpoint: str = ""
    """Where the Google Ads API is reached (host:port, TLS); empty: Google's own. Tests name a loopback server."""
    google_token_url: str = "https://oauth2.googleapis.com/token"
    """Where Google gives out access tokens for refresh tokens."""
    rates_source: Literal["auto", "tcmb", "ecb", "none"] = "auto"
    """Which central bank's rates are pulled each day; auto: the TCMB's for firms in lira, the ECB's for others."""
    tcmb_url: str = "https://www.tcmb.gov.tr/kurlar"
    ecb_url: str = "https://www.ecb.europa.eu/stats/eurofxref"
    """Where they publish; tests name a loopback server."""
    s3_bucket: str = ""
    """Bucket for files (attachments, recordings) in a store that speaks S3; empty: the folder `objects` of `home`."""
    s3_endpoint: str = ""
    """Address of the store, as `http://s3:9000`; empty: AWS's own for the region."""
    s3_region: str = "us-east-1"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    ami_host: str = ""
    """Where the telephone exchange listens for its manager interface (AMI)."""
    ami_port: int = 5038
    ami_username: str = "santral"
    """A user of the exchange's `manager.conf`."""
    ami_secret: SecretStr = SecretStr("")
    ami_tenant: str = ""
    """The slug of the tenant whose exchange it is."""
    ami_trunk: str = "PJSIP/{number}@carrier"
    """How a customer is dialled: the dial string, with the digits in the place of `{number}`."""
    ami_records: Path | None = None
    """The exchange's own records (`Master.csv` of cdr_csv, in UTC), to learn how calls ended that nobody heard end."""
    ami_queue_log: Path | None = None
    """The exchange's log of its queues (`queue_log`), to learn who spoke with callers while nobody listened."""
    recording_spool: Path | None = None
    """The folder into which the exchange writes recordings, shared with this machine; empty: none are fetched."""
    smtp_url: str = Field("", repr=False)
    """The mail server that alerts go through: `smtp://host:25`, `smtps://user:password@host:465`; empty: none."""
    alert_email: str = ""
    """Who is told when the pipeline keeps failing; empty: nobody by e-mail, the log and the screens tell."""
    alert_emails: dict[str, str] = {}
    """Who else is told instead of what an owner answers for, as JSON: `{"team:marketing": "ads@firm.example"}`."""
    alert_from: str = "santral@localhost"
    otlp_endpoint: str = ""
    """Where traces go (OTLP over HTTP); empty: nowhere."""
    rate_limit: str = "600/minute"
    """Requests per user (per address before sign-in), in the notation of the `limits` library."""
    pool_size: int = 10
    """Database connections one process may hold."""

    def derived(self, purpose: str) -> bytes:
        """Return the 32-byte key for a purpose (HKDF-SHA-256 of the one secret, RFC 5869).

        :raises NotConfigured: when there is no secret.
        """
        if not self.secret.get_secret_value():
            raise NotConfigured("SANTRAL_SECRET is not set: make one with `openssl rand -base64 32` and keep it safe")
        return derive(self.secret.get_secret_value().encode(), purpose)

    def password_of(self, role: str) -> str:
        """Return the password that a database role of ours signs in with, derived from the secret."""
        return self.derived(f"role:{role}").hex()

    def owner_url(self, database: str | None = None, *, driver: str = "asyncpg") -> URL:
        """Return the owner's address of the main database or of another one of the same server.

        :raises NotConfigured: when `DATABASE_URL` is not set.
        """
        if not self.database_url:
            raise NotConfigured("DATABASE_URL is not set: name a PostgreSQL 15+ database, or start with `santral up`")
        url = make_url(self.database_url).set(drivername=f"postgresql+{driver}")
        return url.set(database=database) if database else url

    def role_url(self, role: str, *, driver: str = "asyncpg") -> URL:
        """Return the address under which one of our own roles reaches the main database."""
        return self.owner_url(driver=driver).set(username=role, password=self.password_of(role))

    def keys_url(self, role: str | None = None) -> URL:
        """Return the address of the database that holds the keys of people, for its owner or for a role of ours."""
        if self.keys_database_url:
            url = make_url(self.keys_database_url).set(drivername="postgresql+asyncpg")
        else:
            url = self.owner_url(f"{self.owner_url().database}_keys")
        return url.set(username=role, password=self.password_of(role)) if role else url

    @property
    def dagster_database(self) -> str:
        """Name of the database that holds Dagster's own tables."""
        return f"{self.owner_url().database}_dagster"


@cache
def settings() -> Settings:
    """Return this process's settings, read once from the environment."""
    return Settings()
