# The image of every Roadcall process: `docker run roadcall ingest`, `worker`, `console`, ...

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev
WORKDIR /src
# Everything is checked against the lock file's hashes; what is installed comes from there only.
COPY requirements.lock ./
RUN pip download --quiet --require-hashes --no-deps --requirement requirements.lock --dest /wheels
COPY . .
RUN python -m venv /build \
    && /build/bin/pip install --quiet --upgrade --no-index --find-links /wheels setuptools \
    && /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv /opt/roadcall \
    && /opt/roadcall/bin/pip install --quiet --no-index --find-links /wheels roadcall

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 roadcall \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/roadcall --no-create-home roadcall \
    && install --directory --owner roadcall --group roadcall --mode 0700 /var/lib/roadcall
COPY --from=build /opt/roadcall /opt/roadcall
ENV PATH=/opt/roadcall/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/roadcall ROADCALL_HOME=/var/lib/roadcall
USER 10001:10001
WORKDIR /var/lib/roadcall
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["roadcall"]
