# The product as an image: the console is built with Node, Python packages by lock file; the web server runs as an ordinary user.
FROM node:20-bookworm-slim AS front
WORKDIR /build
COPY package.json package-lock.json build.mjs ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY static/src static/src
RUN node build.mjs

FROM debian:bookworm-slim AS words
RUN apt-get update -q && apt-get install -y -q --no-install-recommends gettext
WORKDIR /build
COPY locale locale
RUN for catalogue in locale/*/LC_MESSAGES/*.po; do msgfmt --check --output-file="${catalogue%.po}.mo" "$catalogue"; done

FROM python:3.11-slim-bookworm AS packages
RUN apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev
COPY requirements/base.txt /base.txt
RUN python -m venv /venv && /venv/bin/pip install -q --require-hashes -r /base.txt

FROM python:3.11-slim-bookworm
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends iptables nftables iproute2 kmod crun conmon skopeo umoci openssl tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/cnm --shell /usr/sbin/nologin cnm \
    && mkdir -p /host/run && ln -s /host/run/xtables.lock /run/xtables.lock \
    # a volume that is mounted here for the first time is given to the user to whom the folder belongs
    && install -d -m 700 -o cnm -g cnm /run/cnm/redis && install -d -m 750 -o cnm -g cnm /var/lib/cnm/db \
    && install -d -m 700 -o cnm -g cnm /var/lib/cnm/uploads
COPY --from=packages /venv /venv
WORKDIR /opt/cnmweb
COPY . .
COPY --from=front /build/static/dist static/dist
COPY --from=words /build/locale locale
ENV PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/cnmweb DJANGO_SETTINGS_MODULE=cnmweb.settings C_FORCE_ROOT=1 CNM_STATIC_ROOT=/opt/cnmweb/staticfiles
RUN CNM_STATE_DIR=/tmp CNM_RUN_DIR=/tmp python manage.py collectstatic --noinput -v0 && python -m compileall -q .
USER cnm
