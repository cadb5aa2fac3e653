# One image for every process of the service: `scheduler web` by default, `scheduler worker`, `scheduler migrate`.
# The PostgreSQL of `scheduler up` does not run as this image's user; set DATABASE_URL.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt ./
RUN /venv/bin/python -m pip install --require-hashes -r requirements.txt
COPY pyproject.toml ./
COPY scheduler scheduler
RUN /venv/bin/python -m pip install --no-deps -e . && /venv/bin/python -m compileall -q scheduler

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home scheduler
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY migrations migrations
COPY config config
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
CMD ["scheduler", "web"]
