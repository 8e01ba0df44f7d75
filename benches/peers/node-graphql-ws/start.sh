#!/bin/sh
# The server on $PORT; its packages are those of ../package-lock.json.
command -v npm >/dev/null || {
  echo "Node is missing: apt-get install -y --no-install-recommends nodejs npm" >&2
  exit 127
}
cd "$(dirname "$0")/.." || exit 1
[ -d node_modules ] || npm ci --no-audit --no-fund >&2 || exit 1
[ "$1" = version ] && {
  echo "node $(node --version), versions in package.json"
  exit 0
}
export NODE_ENV=production
exec node node-graphql-ws/server.mjs
