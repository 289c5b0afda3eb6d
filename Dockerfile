# provider   the provider alone: what `docker build .` makes
# demo       the same with the demo applications and the mailbox: `docker build --target demo .`
#
# Settings come from the environment (IDP_ISSUER, IDP_SECRET_KEY_FILE ...); data lies in /var/lib/idp.

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/idp UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==0.13.9
WORKDIR /build
# The dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock README.md ./
COPY clients/python clients/python
RUN uv sync --locked --no-dev --no-install-project
COPY idp idp
COPY templates templates
COPY migrations migrations
COPY config config
RUN uv sync --locked --no-dev --no-editable

FROM build AS build-demo
RUN uv sync --locked --no-dev --no-editable --extra demo

FROM ${PYTHON} AS runtime
RUN groupadd --gid 10001 idp \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/idp --shell /usr/sbin/nologin idp \
 && install --directory --owner=idp --group=idp --mode=0700 /var/lib/idp \
 && install --directory --owner=idp --group=idp --mode=0755 /var/lib/idp-secrets
ENV PATH=/opt/idp/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IDP_SERVER__HOST=0.0.0.0 \
    IDP_SERVER__PORT=8000 \
    IDP_DATABASE__URL=sqlite:////var/lib/idp/idp.db
WORKDIR /var/lib/idp
USER 10001:10001

FROM runtime AS demo
COPY --from=build-demo /opt/idp /opt/idp

FROM runtime AS provider
COPY --from=build /opt/idp /opt/idp
VOLUME /var/lib/idp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --start-interval=2s CMD ["python", "-c", "import http.client, sys; from idp.settings import load; s = load(); c = http.client.HTTPConnection('127.0.0.1', s.server.port, timeout=5); c.request('GET', s.issuer_path + '/health/live'); sys.exit(c.getresponse().status != 200)"]
CMD ["idp", "serve"]
