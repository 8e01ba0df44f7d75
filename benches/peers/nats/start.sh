#!/bin/sh
# nats-server on the WebSocket port $PORT; its plain listener, which it always opens, on $PORT_2.
PATH="$PATH:/usr/sbin"
command -v nats-server >/dev/null || {
  echo "nats-server is missing: apt-get install -y --no-install-recommends nats-server" >&2
  exit 127
}
[ "$1" = version ] && exec nats-server --version
cd "$(dirname "$0")" || exit 1
exec nats-server -c nats.conf
