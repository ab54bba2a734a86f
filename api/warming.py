"""What takes seconds the first time somebody asks for it, made before anybody does: metrics, and the API's description.

Metrics want libraries of the compiler, definitions of the project (parsed, where nobody has done it yet) and a first
compilation; the description wants every route's schema. All of it stays for as long as the process does, hundreds of
thousands of objects that the garbage collector would go through again and again while people wait.
"""

import gc
import threading

import structlog
from fastapi import FastAPI

from crm import errors
from kpis import catalogue

AFTER_S = 20.0
"""Seconds from the start of the process: until then it may be needed, and others start on the same machine."""
log = structlog.get_logger("api.warming")


def soon(app: FastAPI) -> threading.Timer:
    """Begin in a while, in a thread that ends with the process; who stops earlier cancels it."""
    timer = threading.Timer(AFTER_S, warm, [app])
    timer.name, timer.daemon = "warming", True
    timer.start()
    return timer


def warm(app: FastAPI) -> None:
    """Make it all, to stay. What cannot be made is left to whoever asks, who is told why."""
    app.openapi()
    try:
        catalogue.sql_of(catalogue.public()[0])
    except (errors.CrmError, OSError) as error:
        log.warning("not_warmed", error=type(error).__name__)
    gc.collect()
    gc.freeze()
