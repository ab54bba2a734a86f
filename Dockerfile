# One image for every process; docker-compose.yml says which one a container runs.
FROM python:3.12-slim

RUN pip install --no-cache-dir uv==0.13.8 && useradd --create-home --uid 10001 santral
WORKDIR /srv/santral

# Libraries change less often than our code: a layer of their own.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --no-install-project --compile-bytecode

COPY . .
RUN uv sync --frozen --no-dev --compile-bytecode \
    && mkdir -p /var/lib/santral /srv/dagster/storage /var/spool/asterisk/monitor /var/log/asterisk/cdr-csv \
    && cp cli/dagster.yaml /srv/dagster/ \
    && chown -R santral /var/lib/santral /srv/dagster dbt_project /var/spool/asterisk/monitor /var/log/asterisk/cdr-csv

ENV PATH=/srv/santral/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SANTRAL_HOME=/var/lib/santral \
    DAGSTER_HOME=/srv/dagster \
    DO_NOT_TRACK=1 \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GX_ANALYTICS_ENABLED=false
USER santral
EXPOSE 8000 8501 3000
CMD ["python", "-m", "api"]
