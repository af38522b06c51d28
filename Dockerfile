# One image for coordinator and worker. Not yet built by its authors: there is no Docker engine where
# they work.
FROM python:3.11-slim
RUN useradd --create-home hyperhive
WORKDIR /opt/hyperhive
COPY pyproject.toml constraints.txt README.md hyperhive.py ./
COPY pages pages
COPY store store
COPY model model
COPY worker worker
COPY coordinator coordinator
COPY inference inference
RUN pip install --no-cache-dir --constraint constraints.txt '.[coordinator]'
USER hyperhive
WORKDIR /home/hyperhive
# Volumes mounted here take over the owner.
RUN mkdir -p models .cache
ENTRYPOINT ["hyperhive"]
