# The images of worker and coordinator; `docker compose build` builds both. They use PyPI's PyTorch,
# which on Linux includes CUDA (5 GB). docs/fleet.md explains how to use the small build for CPUs.
FROM python:3.11-slim-bookworm AS worker
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 hyperhive
# The version in constraints.txt. Only the networks of its name need torchvision: it is not installed.
ARG TORCH_VERSION=2.15.0
ARG PIP_EXTRA_INDEX_URL
RUN pip install "torch==${TORCH_VERSION}"
WORKDIR /opt/hyperhive
COPY . .
RUN pip install --constraint constraints.txt .
WORKDIR /home/hyperhive
# compose.yaml runs this as the owner of secrets/, so any user must be able to write to the volumes.
RUN mkdir models .cache .local && chmod 1777 models .cache .local
ENV HOME=/home/hyperhive USER=hyperhive
USER 1000
ENTRYPOINT ["hyperhive"]

FROM worker AS coordinator
USER 0
RUN pip install --constraint /opt/hyperhive/constraints.txt '/opt/hyperhive[coordinator]'
USER 1000
