#!/usr/bin/env bash
# Shows a running store at work through the `pygmy` client, and says what to try next.
#
# It buys one copy of book 1 and changes nothing else. Every command is printed before it runs, so that it can be
# repeated by hand.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly program=.build/release/bin/pygmy

show() {
    printf '\n$ %s' "$program"
    printf ' %q' "$@"
    printf '\n'
    "$program" "$@" </dev/null || {
        printf 'demo: that did not work; client/store.sh status and make logs tell more\n' >&2
        exit 1
    }
}

eval "$(client/store.sh env | sed 's/^/declare /')"

show search 'distributed systems'
show lookup 1
show buy 1
show orders

frontend=http://$PYGMY_LISTEN:$PYGMY_PORT_FRONTEND
cat <<TEXT

The store runs. Open in a browser, or with curl:
  $frontend/
  $frontend/search?topic=graduate%20school
  $frontend/lookup?id=2
  http://$PYGMY_LISTEN:$PYGMY_PORT_CATALOG_A/item        every book, from catalog replica A (B: port $PYGMY_PORT_CATALOG_B)
  http://$PYGMY_LISTEN:$PYGMY_PORT_ORDER_A/orders      every order, from order replica A (B: port $PYGMY_PORT_ORDER_B)

What to try next:
  $program buy 2 --quantity 3
  $program --help
  make status     what runs            make logs      what it says
  make stop       end it, keep data    make reset     end it, forget data
TEXT
