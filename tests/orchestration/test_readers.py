"""Readers: they see the last good publication or the new one, whatever fails or dies meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg

from orchestration import publishing, warehouse
from tests.orchestration.workshop import WORKSHOP, as_reader, built, held, is_level, workshop, write

__all__ = ["workshop"]


class TestReaders:
    """What readers meet while publications come, fail and die."""

    def test_never_see_a_mixture(self, workshop, tenant):
        write(workshop, tenant, 1, range(40), 1)
        built("leads", "telephony")
        publishing.publish()
        mixtures: list[Any] = []
        looks, stop = [0], threading.Event()

        def look() -> None:
            with psycopg.connect(as_reader(), autocommit=True) as reader:
                reader.execute("select set_config('app.tenant_id', %s, false)", (str(tenant.id),))
                while not stop.is_set():
                    found = reader.execute(INVARIANT).fetchone()
                    looks[0] += 1
                    if found[0] != 0 or found[1] > 1:
                        mixtures.append(found)

        reader = threading.Thread(target=look)
        reader.start()
        chance = random.Random(5)
        for round_no in range(2, 14):
            write(workshop, tenant, round_no, range(40), round_no % 3 + 1)
            fails = chance.random() < 0.3
            built("leads", failed=["a_check"] if fails else [])
            publishing.publish()
            if chance.random() < 0.2:
                workshop.execute(f"alter table marts.fct_cycle add more_{round_no} int")
        stop.set()
        reader.join()

        assert mixtures == []
        assert looks[0] > 20

    def test_a_publication_that_is_killed_leaves_the_last_good_one(self, workshop, tenant):
        write(workshop, tenant, 1, range(300), 2)
        built("leads")
        publishing.publish()
        before = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
        chance, killed = random.Random(11), 0
        for round_no in range(2, 5):
            write(workshop, tenant, round_no, range(300), round_no)
            built("leads")
            with _publisher() as process:
                time.sleep(chance.random() * 0.05)
                process.send_signal(signal.SIGKILL)
                process.wait()
            now = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
            whole = is_level(workshop)
            killed += not whole
            assert whole or now == before, "all of it or nothing"
            with warehouse.one_writer():  # the dead one's connection ends before anybody else builds or publishes
                publishing.publish()
            assert is_level(workshop)
            before = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
        assert killed


INVARIANT = """
select (select coalesce(sum(n), 0) from published.fct_cycle) - (select count(*) from published.fct_interval),
       (select count(distinct source_max_tx_id) from published.fct_cycle)
"""
"""A lead's cycle has as many intervals as it says, and all were written by one build."""

PUBLISHER = """
import sys
from orchestration import publishing, relations, warehouse
from tests.orchestration.workshop import WORKSHOP
relations.all_relations, publishing.WITH_EACH = lambda: WORKSHOP, {}
with warehouse.one_writer():
    print("ready", flush=True)
    publishing.publish()
"""


def _publisher() -> "subprocess.Popen[bytes]":
    """Start a process that publishes; it is about to when this returns."""
    process = subprocess.Popen([sys.executable, "-c", PUBLISHER], stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process
