# The pages are built by Node; the image that runs holds Python alone.
# TORCH=1 adds torch, torchvision and segment-anything for GPU workers (about 6 GB).

FROM node:22-slim AS pages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY vite.config.ts ./
COPY frontend frontend
RUN npx vite build

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 READ_DOTENV=0
WORKDIR /app
# pg_dump and pg_restore, which manage.py backup and restore run.
RUN apt-get update && apt-get install --no-install-recommends -y postgresql-client \
    && rm -rf /var/lib/apt/lists/*
COPY requirements requirements
RUN pip install -r requirements/base.txt
ARG TORCH=0
RUN if [ "$TORCH" = 1 ]; then pip install -r requirements/torch.txt; fi
COPY manage.py ./
COPY labeler labeler
COPY inference inference
COPY annotations annotations
COPY deploy deploy
COPY --from=pages /app/frontend/dist frontend/dist
RUN useradd --system --uid 10001 labeler && install -d -o labeler /data
USER labeler
VOLUME /data
ENV LABELER_DATA=/data
EXPOSE 8000
CMD ["gunicorn", "labeler.wsgi", "--config", "deploy/gunicorn.py"]
