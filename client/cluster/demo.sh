#!/usr/bin/env bash
# Shows a running cluster at work: a purchase made at one node is seen at all of them and at the frontend.
#
# It buys two copies of book 1 and changes nothing else. Every command is printed before it runs, so that it can be
# repeated by hand.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

readonly program=.build/release/bin/pygmy

show() {
    printf '\n$'
    printf ' %q' "$@"
    printf '\n'
    "$@" </dev/null || {
        printf 'demo: that did not work; client/cluster.sh status and client/cluster.sh logs tell more\n' >&2
        exit 1
    }
}

# Asks as a client who trusts the cluster's own authority, where there is one.
ask() { show curl -sS --fail-with-body --noproxy '*' ${PYGMY_PEER_CA:+--cacert "$PYGMY_PEER_CA"} "$@"; }

eval "$(client/cluster.sh env | sed 's/^/declare /')"
# What the start left for the client, whatever else the environment says.
export PYGMY_CONFIG=${PYGMY_CLIENT_ENV:-.build/release/etc/pygmy.env}
unset "${!PYGMY_PORT_@}" PYGMY_LISTEN
IFS=, read -r -a catalogs <<<"$PYGMY_CATALOG_URL"
IFS=, read -r -a orders <<<"$PYGMY_ORDER_URL"

ask -X POST "${orders[0]}/buy/1"
# A read at another node shows what was acknowledged before: it asks for the newest.
for catalog in "${catalogs[@]}"; do ask -H 'X-Pygmy-Consistency: strict' "$catalog/item/1"; done
ask "$PYGMY_URL/lookup?id=1"
show "$program" buy 1
show "$program" status

cat <<TEXT

The cluster runs. Open in a browser, or with curl:
  $PYGMY_URL/lookup?id=2
  ${catalogs[0]}/item         every book, at node A
  ${orders[-1]}/orders       every order, at the last node

What to try next:
  client/cluster.sh kill node-B; $program buy 2; client/cluster.sh start node-B
  make cluster-add NODE=D           a further replica
  make cluster-status               what runs
  make cluster-stop                 end it, keep data        make cluster-reset     end it, forget data
TEXT
