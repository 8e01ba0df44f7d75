#!/bin/sh
# axum and async-graphql on $PORT. Built when it is asked for its version, before any measuring.
cd "$(dirname "$0")" || exit 1
[ "$1" = version ] && {
  cargo build --release --locked --quiet || exit 1
  sed -n 's/^\(a[a-z-]*\) = "=*\(.*\)"/\1 \2/p' Cargo.toml | tr '\n' ' '
  exit 0
}
exec "${CARGO_TARGET_DIR:-target}/release/afternoon"
