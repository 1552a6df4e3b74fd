ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# Only for builds behind a proxy with a certificate of its own: the path of a bundle that BASE or a mount brings.
ARG PIP_CERT
WORKDIR /src
RUN python3 -m venv /opt/monitor
# The dependencies change seldom: they are a layer of their own.
COPY pyproject.toml ./
RUN /opt/monitor/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > /tmp/requirements.txt \
 && /opt/monitor/bin/pip install --no-cache-dir -r /tmp/requirements.txt
COPY . .
RUN /opt/monitor/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="monitor" \
      org.opencontainers.image.description="Watches media servers and the machines around them: one process, one container." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# tini reaps what the embedded PostgreSQL leaves behind when it ends; -s: also below another init (docker run --init).
RUN command -v tini > /dev/null || (apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*)
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/monitor --shell /usr/sbin/nologin monitor \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/monitor \
 && install -d -o 10001 -g 10001 -m 0755 /etc/monitor
COPY --from=build /opt/monitor /opt/monitor
ENV PATH=/opt/monitor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MONITOR__SERVER__LISTEN=0.0.0.0:5434 \
    MONITOR__SERVER__DATA_DIR=/var/lib/monitor \
    MONITOR__AUTH__FIRST_ADMIN=True
USER 10001:10001
VOLUME /var/lib/monitor
EXPOSE 5434
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["monitor", "healthcheck"]
ENTRYPOINT ["tini", "-s", "--", "monitor"]
CMD ["run"]
