#!/usr/bin/env bash
# Puts the built programs and what they need where the package has them: ansible/package/install.sh DESTDIR (`make install`).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

readonly destination=${1:?usage: ansible/package/install.sh DESTDIR} package=ansible/package
readonly app=$destination/usr/lib/pygmy units=$destination/usr/lib/systemd

put() { install -D -m "$1" -- "$2" "$3"; }

shopt -s nullglob
for name in catalog order pygmy pygmy-load; do put 0755 ".build/release/bin/$name" "$app/bin/$name"; done
put 0644 .build/release/lib/libpygmy_coherence.so "$app/lib/libpygmy_coherence.so"
put 0644 db/catalogue.json "$app/catalogue.json"
for file in nginx/*.conf nginx/*/*.conf nginx/*.template nginx/*.lua; do put 0644 "$file" "$app/$file"; done
put 0755 nginx/render.sh "$app/nginx/render.sh"

# The load test, for client machines.
put 0755 client/loadtest.sh "$app/client/loadtest.sh"
for file in client/loadtest/*.{sh,awk,lua}; do put 0644 "$file" "$app/$file"; done
put 0755 client/loadtest/crash.sh "$app/client/loadtest/crash.sh"

for name in start-worker start-nginx reload-nginx stop-frontend await drain check-node; do put 0755 "$package/programs/$name.sh" "$app/$name"; done
put 0644 "$package/programs/closing.bash" "$app/closing.bash"
put 0755 "$package/programs/loadtest.sh" "$destination/usr/bin/pygmy-loadtest"
mkdir -p -- "$destination/usr/sbin"
ln -sfn ../lib/pygmy/bin/pygmy "$destination/usr/bin/pygmy"
ln -sfn ../lib/pygmy/check-node "$destination/usr/sbin/pygmy-check-node"

for file in "$package"/units/*.{service,socket,target}; do put 0644 "$file" "$units/system/${file##*/}"; done
put 0644 "$package/units/pygmy-.service.d/10-all.conf" "$units/system/pygmy-.service.d/10-all.conf"
put 0755 "$package/programs/generator.sh" "$units/system-generators/pygmy-generator"
