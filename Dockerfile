# The action's image: CPU torch and the exact versions of constraints.txt; no CUDA, no compiler, no caches.
# Any base with Python 3.11 to 3.13 and glibc will do: the release workflow and `make image-test` may pass another.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# hadolint ignore=DL3006
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/onnx-export
WORKDIR /source
COPY constraints.txt ./
# torch comes first and alone, from the index of CPU builds: from PyPI it would bring gigabytes of CUDA.
RUN /opt/onnx-export/bin/pip install --no-compile --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY hooks hooks
RUN /opt/onnx-export/bin/pip install --no-compile --constraint constraints.txt '.[action,export]'
# What only building C++ extensions and tests need, and pip itself, which nothing calls at run time. Modules are
# compiled here, because nobody can write beside them later; some templates are no Python and are left as they are.
RUN packages=$(/opt/onnx-export/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && rm -rf "$packages"/torch/include "$packages"/torch/share "$packages"/torch/lib/*.a \
    && find "$packages" -path "$packages/torch" -prune -o -type d -name tests -prune -exec rm -rf {} + \
    && /opt/onnx-export/bin/pip uninstall --yes --quiet pip \
    && { /opt/onnx-export/bin/python -m compileall -q -j 0 "$packages" || test $? = 1; }

# hadolint ignore=DL3006
FROM ${BASE}
# git says what a pull request changed. Its version is the base's own: Debian keeps only the newest.
# hadolint ignore=DL3008
RUN command -v git > /dev/null || { apt-get update \
    && apt-get install --yes --no-install-recommends git ca-certificates \
    && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/onnx-export /opt/onnx-export
ENV PATH=/opt/onnx-export/bin:$PATH \
    HF_HUB_DISABLE_TELEMETRY=1
LABEL org.opencontainers.image.title="onnx-export-action" \
      org.opencontainers.image.description="Exports Hugging Face models to ONNX, proves the files, reports on the pull request." \
      org.opencontainers.image.source="https://github.com/org/onnx-export-action" \
      org.opencontainers.image.licenses="Apache-2.0"
# -I: neither the workspace nor a variable of the job says what Python imports.
ENTRYPOINT ["/opt/onnx-export/bin/python", "-I", "-u", "-B", "-m", "onnx_export_action", "action"]
