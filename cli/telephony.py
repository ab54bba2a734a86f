"""Telephony of a running Santral: the exchange it speaks with, and how its bridge shows that it is at work."""

import secrets
import socket
from pathlib import Path

import psycopg

from cli.keeper import free_port
from crm.settings import Settings

DEMO_TENANT = "lale"
"""Short name of the demo's tenant."""
HELD = """
select exists (
  select from pg_locks
   where locktype = 'advisory' and granted
     and ((classid::bigint << 32) | objid::bigint) = hashtextextended('dialer ' || crm.tenant_by_slug(%s)::text, 0))
"""
"""Whether the lock of `dialer.ownership` is held for a tenant."""


def loopback(config: Settings, place: Path) -> dict[str, str]:
    """Return the environment of a loopback exchange of our own, for the demo; nothing where one is named."""
    if config.environment != "demo" or config.ami_host:
        return {}
    return {
        "SANTRAL_AMI_HOST": "127.0.0.1",
        "SANTRAL_AMI_PORT": str(free_port()),
        "SANTRAL_AMI_SECRET": secrets.token_hex(16),
        "SANTRAL_AMI_TENANT": DEMO_TENANT,
        "SANTRAL_RECORDING_SPOOL": str(place / "exchange" / "recordings"),
        "SANTRAL_AMI_RECORDS": str(place / "exchange" / "Master.csv"),
        "SANTRAL_AMI_QUEUE_LOG": str(place / "exchange" / "queue_log"),
    }


def listens(config: Settings) -> str:
    """Check that an exchange listens."""
    try:
        with socket.create_connection((config.ami_host, config.ami_port), timeout=2):
            return ""
    except OSError:
        return "does not listen yet"


def bridges(connection: psycopg.Connection, config: Settings) -> str:
    """Check that a bridge is at work for the tenant."""
    row = connection.execute(HELD, [config.ami_tenant]).fetchone()
    return "" if row and row[0] else "no bridge is at work yet"
