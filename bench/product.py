"""The product as the benchmarks meet it: a durable embedded server of its own, one firm, one API process."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cli.keeper import free_port
from cli.postgres import server
from crm import db, ids, migrations, vault
from crm.actor import Actor
from crm.settings import settings
from crm.users import rules, tokens


@dataclass(frozen=True)
class Firm:
    """The tenant that is measured, and its administrator."""

    tenant_id: UUID
    team_id: UUID
    user_id: UUID

    @property
    def admin(self) -> Actor:
        """The administrator acting."""
        return Actor(self.tenant_id, self.user_id, self.team_id, frozenset({"admin"}), rules.permissions_of(["admin"]))

    def token(self) -> str:
        """Return a fresh access token of the administrator."""
        return tokens.issue(
            tenant=self.tenant_id, user=self.user_id, team=self.team_id, roles=["admin"], now=datetime.now(UTC)
        )


@contextmanager
def database() -> Iterator[str]:
    """Run a durable embedded server (fsync on) with a migrated database; yield the owner's address."""
    home = Path(tempfile.mkdtemp(prefix="santral-bench-"))
    home.chmod(0o755)
    os.environ.update(
        SANTRAL_ENVIRONMENT="demo",
        SANTRAL_SECRET=base64.b64encode(os.urandom(32)).decode(),
        SANTRAL_HOME=str(home),
        SANTRAL_RATE_LIMIT="100000000/minute",
    )
    try:
        with server(home) as url:
            os.environ["DATABASE_URL"] = url
            settings.cache_clear()
            asyncio.run(migrations.prepare())
            yield url
    finally:
        if (home / "postgres").is_symlink():
            shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


async def make_firm(slug: str = "bench") -> Firm:
    """Create a tenant with one team and its administrator."""
    firm = Firm(ids.new(), ids.new(), ids.new())
    now = datetime.now(UTC)
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        await tx.execute(
            "insert into crm.tenant (tenant_id, slug, name, created_at)"
            " values ($1::uuid, $2::text, $2::text, $3::timestamptz)",
            firm.tenant_id, slug, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.team (tenant_id, id, name, is_default, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, 'Sales', true, $3::timestamptz, $3::timestamptz)",
            firm.tenant_id, firm.team_id, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, $3::text, 'Bench', '{admin}', $4::uuid, $5::timestamptz, $5::timestamptz)",
            firm.tenant_id, firm.user_id, f"admin@{slug}.example", firm.team_id, now,
        )  # fmt: skip
    return firm


def run(work):
    """Run a coroutine and close the pools it opened, which belong to its event loop."""

    async def whole():
        try:
            return await work
        finally:
            await db.close()
            await vault.close()

    return asyncio.run(whole())


@contextmanager
def api() -> Iterator[int]:
    """Run one API process as production does; yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--host", "127.0.0.1",
               "--port", str(port), "--no-access-log", "--log-level", "warning"]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the API does not answer at {url}")
