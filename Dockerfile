# syntax=docker/dockerfile:1
# Images of the server: `cpu` (default; x86-64 and arm64) and `cuda` (x86-64, NVIDIA driver 580 or newer).
#
#   docker build --tag electra-server .
#   docker build --tag electra-server:cuda --target cuda .
#   docker run --rm --publish 8080:8080 --publish 9000:9000 --volume "$PWD/models:/mnt/models:ro" electra-server
#
# Models are mounted at /mnt/models and never part of an image. See deploy/README.md.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
ARG TARGETARCH
RUN --mount=type=cache,id=cargo-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=cargo-target-${TARGETARCH},target=/src/target \
    cargo build --release --locked --bin electra \
    && install -D target/release/electra /out/electra \
    && strip --strip-debug /out/electra

# ONNX Runtime and CUDA come from PyPI wheels, pinned by version and SHA-256 in scripts/*-requirements.txt.
FROM python:3.11-slim-bookworm AS onnxruntime-cpu
COPY scripts/fetch_onnxruntime.py scripts/onnxruntime-requirements.txt /scripts/
RUN python3 /scripts/fetch_onnxruntime.py --output /onnxruntime

FROM python:3.11-slim-bookworm AS onnxruntime-gpu
COPY scripts/fetch_onnxruntime.py scripts/onnxruntime-gpu-requirements.txt /scripts/
RUN python3 /scripts/fetch_onnxruntime.py --gpu --output /onnxruntime

FROM python:3.11-slim-bookworm AS cuda-libraries
COPY scripts/cuda-requirements.txt /scripts/
RUN pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
        --target /wheels --requirement /scripts/cuda-requirements.txt \
    && mkdir -p /cuda/lib /cuda/licenses \
    && mv /wheels/nvidia/*/lib/*.so* /cuda/lib/ \
    && mv /wheels/*.dist-info /cuda/licenses/

FROM debian:bookworm-slim AS server
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /usr/share/doc/electra/LICENSE
COPY --from=build /out/electra /usr/local/bin/electra
ENV ELECTRA_MODELS=/mnt/models \
    # Makes glibc return the memory of unloaded models to the system.
    MALLOC_TRIM_THRESHOLD_=131072 \
    ELECTRA_HTTP=0.0.0.0:8080 \
    ELECTRA_GRPC=0.0.0.0:9000 \
    ELECTRA_LOG_FORMAT=json \
    ELECTRA_ONNXRUNTIME_LIBRARY=/usr/local/lib/libonnxruntime.so
EXPOSE 8080 9000
# A number, so that an orchestrator can verify that it is not root without reading /etc/passwd.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 CMD ["electra", "health"]
ENTRYPOINT ["electra"]
CMD ["serve"]

FROM server AS cuda
# NVIDIA's container runtime reads these to mount the GPUs and the driver's libraries.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/usr/local/lib/cuda
COPY --from=cuda-libraries /cuda/licenses/ /usr/share/doc/cuda/
COPY --from=cuda-libraries /cuda/lib/ /usr/local/lib/cuda/
COPY --from=onnxruntime-gpu /onnxruntime/LICENSE /onnxruntime/ThirdPartyNotices.txt /usr/share/doc/onnxruntime/
COPY --from=onnxruntime-gpu /onnxruntime/lib/ /usr/local/lib/

FROM server AS cpu
COPY --from=onnxruntime-cpu /onnxruntime/LICENSE /onnxruntime/ThirdPartyNotices.txt /usr/share/doc/onnxruntime/
COPY --from=onnxruntime-cpu /onnxruntime/lib/ /usr/local/lib/
