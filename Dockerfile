# syntax=docker/dockerfile:1
# meesh as a container image, built with a container engine: `docker build -t meesh .`
# (`make image` writes one without.) Both stages are Debian 12, so that the binary meets the glibc it was linked to.

# Tags, because no digest could be verified where this file was written; pin them in your own pipeline:
# `docker buildx imagetools inspect rust:1.95.0-slim-bookworm` prints the digest.
FROM rust:1.95.0-slim-bookworm AS build
# The C compiler for zstd and mimalloc is in the base image; no system library is linked but glibc.
WORKDIR /src
COPY . .
# `dist` is the release profile with thin LTO, stripped; `--build-arg PROFILE=release` builds faster.
ARG PROFILE=dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --no-default-features --package meesh --bin meesh --profile "$PROFILE" \
    && install -D "target/$PROFILE/meesh" /out/usr/bin/meesh \
    && mkdir -p /out/etc/meesh /spill

# glibc, libgcc, certificate authorities, /etc/passwd with uid 65532; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out /
COPY --from=build --chown=65532:65532 /spill /spill
USER 65532:65532
EXPOSE 32010 9090
ENTRYPOINT ["/usr/bin/meesh"]
CMD ["serve", "--etc", "/etc/meesh"]
