"""`python -m api`: serve the HTTP door with uvicorn."""

import uvicorn

from crm import logs
from crm.settings import settings


def main() -> None:
    """Serve until told to stop. Uvicorn's own access log stays off: it would print query strings and ids."""
    config = settings()
    logs.configure(config.log_level)
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=config.host,
        port=config.api_port,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        ws_max_size=16 * 1024,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
