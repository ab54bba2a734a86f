"""Small real files of each type, a store in a folder or behind a real S3 server, and a lead to hang files on."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from uuid import UUID

import boto3
import pytest
from moto.server import ThreadedMotoServer

from crm import db, ids, objects
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.settings import settings
from tests.conftest import Tenant


def png() -> bytes:
    """A picture of one pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def packed(*parts: str) -> bytes:
    """A zip archive with these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part in parts:
            archive.writestr(part, "<x/>")
    return out.getvalue()


JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + b"\0" * 50 + b"\xff\xd9"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def point_at_s3(patch: pytest.MonkeyPatch, server: ThreadedMotoServer) -> str:
    """Let settings name a fresh bucket of a server; return its name."""
    host, port = server.get_host_and_port()
    bucket = f"santral-{ids.new().hex}"
    address = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    ).create_bucket(Bucket=bucket)
    for name, value in {"BUCKET": bucket, "ENDPOINT": address, "ACCESS_KEY": "k", "SECRET_KEY": "s"}.items():
        patch.setenv(f"SANTRAL_S3_{name}", value)
    return bucket


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ThreadedMotoServer]:
    """A server that speaks S3 over HTTP, in a thread of this process."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch, s3_server: ThreadedMotoServer
) -> Iterator[str]:
    """Both kinds of store, one after the other."""
    if request.param == "s3":
        point_at_s3(monkeypatch, s3_server)
    settings.cache_clear()
    objects.forget()
    yield request.param
    objects.forget()


@pytest.fixture
async def lead(tenant: Tenant, now) -> UUID:
    """An enquiry in the sales agent's hands."""
    new = NewLead(source="api", phone="0532 123 45 67", name="Ayşe Yılmaz")
    stored = await db.run(tenant.system, lambda tx: intake.create(tx, new, now=now))
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "update crm.lead set owner_id = $2::uuid where id = $1::uuid",
            stored.lead_id, tenant.sales_agent.user_id,
        )  # fmt: skip
    return stored.lead_id
