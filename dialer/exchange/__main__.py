"""`python -m dialer.exchange`: a loopback exchange for the demo and for rehearsals. Nobody is ever called.

It listens where `SANTRAL_AMI_HOST` and `SANTRAL_AMI_PORT` say, knows the one user of `SANTRAL_AMI_USERNAME` and
`SANTRAL_AMI_SECRET`, leaves recordings in `SANTRAL_RECORDING_SPOOL` and its own records in `SANTRAL_AMI_RECORDS` and
`SANTRAL_AMI_QUEUE_LOG`. Until SIGTERM or Ctrl-C.
"""

import argparse
import asyncio
import signal

from crm import logs
from crm.settings import settings
from dialer.exchange.callers import Traffic
from dialer.exchange.server import Exchange


async def serve(host: str, calls_per_minute: float) -> None:
    """Be an exchange until told to stop."""
    config, stop, loop = settings(), asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    async with Exchange(
        username=config.ami_username, secret=config.ami_secret, host=host, port=config.ami_port,
        recordings=config.recording_spool, records=config.ami_records, queue_log=config.ami_queue_log,
        traffic=Traffic(calls_per_minute),
    ):  # fmt: skip
        await stop.wait()


def main() -> None:
    """Read the command line."""
    words = argparse.ArgumentParser(prog="python -m dialer.exchange", description=__doc__)
    words.add_argument("--host", default=settings().ami_host or "127.0.0.1", help="address to listen on")
    words.add_argument("--calls", type=float, default=0.0, metavar="N", help="customers who call in, a minute")
    said = words.parse_args()
    logs.configure(settings().log_level)
    asyncio.run(serve(said.host, said.calls))


if __name__ == "__main__":
    main()
