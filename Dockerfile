# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /tidings
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/tidings/target \
    cargo build --release --locked --bin tidings && cp target/release/tidings /usr/local/bin/

FROM debian:bookworm-slim
RUN useradd --system --user-group --no-create-home --uid 10001 tidings
COPY --from=build /usr/local/bin/tidings /usr/local/bin/tidings
USER tidings
EXPOSE 4000 4001
STOPSIGNAL SIGTERM
# The image has no HTTP client: bash opens the connection itself.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/4001 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
# A container is not reached over its loopback. The broker refuses other addresses until it is given
# a key for its clients' tokens (or --insecure): see docker-compose.yml.
ENTRYPOINT ["tidings"]
CMD ["serve", "--listen", "0.0.0.0:4000", "--admin-listen", "0.0.0.0:4001"]
