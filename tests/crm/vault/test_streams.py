"""Sealed streams: back as they were however they are cut, and nothing altered, moved or cut off passes."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from crm import ids, vault
from crm.vault import streams
from crm.vault.keyring import DataKey

KEY = DataKey(ids.new(), ids.new(), os.urandom(32))
OTHER = DataKey(KEY.tenant_id, ids.new(), KEY.secret)

sizes = some.sampled_from([0, 1, 100, streams.CHUNK - 1, streams.CHUNK, streams.CHUNK + 1, 3 * streams.CHUNK])


async def cut(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def whole(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


def seal(content: bytes, *, piece: int = 1000) -> bytes:
    return asyncio.run(whole(vault.seal_stream(KEY, cut(content, piece))))


def unseal(sealed: bytes, *, key: DataKey = KEY, piece: int = 1000) -> bytes:
    return asyncio.run(whole(vault.open_stream(key, cut(sealed, piece))))


class TestOpenStream:
    @settings(max_examples=40, deadline=None)
    @given(sizes, some.integers(7, 200_000), some.integers(7, 200_000))
    def test_gives_back_what_was_sealed_however_it_was_cut(self, size: int, one: int, other: int):
        content = os.urandom(size)

        assert unseal(seal(content, piece=one), piece=other) == content

    @settings(max_examples=40, deadline=None)
    @given(sizes, some.data())
    def test_refuses_whatever_was_altered(self, size: int, data: some.DataObject):
        sealed = bytearray(seal(os.urandom(size)))
        sealed[data.draw(some.integers(0, len(sealed) - 1))] ^= 1 << data.draw(some.integers(0, 7))

        with pytest.raises(vault.Unreadable):
            unseal(bytes(sealed))

    @settings(max_examples=40, deadline=None)
    @given(sizes, some.data())
    def test_refuses_what_was_cut_off_wherever(self, size: int, data: some.DataObject):
        sealed = seal(os.urandom(size))

        with pytest.raises(vault.Unreadable):
            unseal(sealed[: data.draw(some.integers(0, len(sealed) - 1))])

    def test_refuses_an_end_cut_off_between_two_chunks(self):
        sealed = seal(os.urandom(3 * streams.CHUNK))
        first_two = sealed[: streams.SALT + 2 * streams.SEALED_CHUNK]

        with pytest.raises(vault.Unreadable):
            unseal(first_two)

    def test_refuses_chunks_in_another_order(self):
        sealed = seal(os.urandom(3 * streams.CHUNK))
        head, body = sealed[: streams.SALT], sealed[streams.SALT :]
        chunks = [body[at : at + streams.SEALED_CHUNK] for at in range(0, len(body), streams.SEALED_CHUNK)]

        with pytest.raises(vault.Unreadable):
            unseal(head + chunks[1] + chunks[0] + chunks[2])

    def test_opens_under_no_other_name(self):
        with pytest.raises(vault.Unreadable):
            unseal(seal(b"hello"), key=OTHER)

    def test_says_nothing_twice_the_same(self):
        assert seal(b"hello") != seal(b"hello")
