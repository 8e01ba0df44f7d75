#!/bin/sh
# MQTT over WebSocket on $PORT; plain MQTT on $PORT_2.
PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null || {
  echo "mosquitto is missing: apt-get install -y --no-install-recommends mosquitto" >&2
  exit 127
}
[ "$1" = version ] && { mosquitto -h | head -1; exit 0; }
cd "$(dirname "$0")" || exit 1
sed -e "s|@PORT@|$PORT|" -e "s|@PORT_2@|$PORT_2|" mosquitto.conf.in > "$RUN/mosquitto.conf"
exec mosquitto -c "$RUN/mosquitto.conf"
