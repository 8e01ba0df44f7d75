#!/bin/sh
# nginx with nchan on $PORT: one master, one worker, their files in $RUN.
PATH="$PATH:/usr/sbin"
command -v nginx >/dev/null || {
  echo "nginx is missing: apt-get install -y --no-install-recommends nginx libnginx-mod-nchan" >&2
  exit 127
}
MODULES="$(nginx -V 2>&1 | tr ' ' '\n' | sed -n 's/^--modules-path=//p')"
[ -f "$MODULES/ngx_nchan_module.so" ] || {
  echo "nchan is missing: apt-get install -y --no-install-recommends libnginx-mod-nchan" >&2
  exit 127
}
[ "$1" = version ] && {
  nginx -v 2>&1
  # Only where packages are Debian's.
  dpkg-query -W -f ', nchan ${Version}\n' libnginx-mod-nchan 2>/dev/null
  exit 0
}
cd "$(dirname "$0")" || exit 1
# The worker runs as another user.
chmod 755 "$RUN"
sed -e "s|@PORT@|$PORT|" -e "s|@MODULES@|$MODULES|" nginx.conf.in > "$RUN/nginx.conf"
exec nginx -p "$RUN" -c nginx.conf
