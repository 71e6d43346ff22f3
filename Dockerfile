# warpzone in a small image, which runs as a user without rights. Without EXTRAS it holds the
# environments alone; `--build-arg EXTRAS=all` brings every command, and with it PyTorch. pip reads
# PIP_EXTRA_INDEX_URL: an index with PyTorch for CPUs spares the image the gigabytes for GPUs.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG EXTRAS=
ARG PIP_EXTRA_INDEX_URL=
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python3 -m venv /opt/warpzone \
    && /opt/warpzone/bin/pip install --no-cache-dir ".${EXTRAS:+[${EXTRAS}]}"

FROM ${BASE}
RUN useradd --create-home --uid 1000 warpzone
COPY --from=build /opt/warpzone /opt/warpzone
ENV PATH=/opt/warpzone/bin:${PATH}
USER 1000:1000
# The ROM, native code of cartridges and runs are kept here; a volume outlives the container.
WORKDIR /home/warpzone
ENTRYPOINT ["warpzone"]
CMD ["--help"]
