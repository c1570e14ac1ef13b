# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# The store under test: finding it, starting one of its own, and learning what there is to ask for.

own_folder=''

# The `pygmy` client, told of this store.
pygmy() {
    local words=(--quiet --url "${urls[0]}")
    if [[ -n $catalog_urls ]]; then words+=(--catalog-url "$catalog_urls"); fi
    if [[ -n $order_urls ]]; then words+=(--order-url "$order_urls"); fi
    if [[ -n $token_file ]]; then words+=(--token-file "$token_file"); fi
    "$bin/pygmy" "${words[@]}" "$@" </dev/null
}

# Starts a throwaway store: own folder, own ports.
store_start_own() {
    local variable first tries code=4
    for variable in "${!PYGMY_@}"; do unset "$variable"; done
    own_folder=$(mktemp -d "${TMPDIR:-/var/tmp}/pygmy-loadtest.XXXXXX")
    chmod 0711 "$own_folder"
    export PYGMY_STATE_DIR=$own_folder/state PYGMY_RUN_DIR=$own_folder/run PYGMY_CLIENT_ENV=$own_folder/pygmy.env
    say "Starting a store in $own_folder"
    for tries in 1 2 3 4 5; do
        first=$((20000 + RANDOM % 1200 * 10)) code=0
        export PYGMY_PORT_FRONTEND=$first PYGMY_PORT_CATALOG_A=$((first + 1)) PYGMY_PORT_CATALOG_B=$((first + 2))
        export PYGMY_PORT_ORDER_A=$((first + 3)) PYGMY_PORT_ORDER_B=$((first + 4)) PYGMY_PORT_METRICS=$((first + 8))
        "$clone/client/store.sh" start >"$out/store.log" 2>&1 || code=$?
        if [[ $code -ne 4 ]]; then break; fi
    done
    if [[ $code -ne 0 ]]; then
        cat "$out/store.log" >&2
        fail "$exit_unreachable" "the store did not start (try $tries)"
    fi
    export PYGMY_CONFIG=$PYGMY_CLIENT_ENV
    token_file=$PYGMY_STATE_DIR/secrets/admin.token
    : "${stock:=1000000000}"
}

store_end() {
    if [[ -z $own_folder ]]; then return; fi
    "$clone/client/store.sh" reset >>"$out/store.log" 2>&1 || cat "$out/store.log" >&2
    rm -rf -- "$own_folder"
    own_folder=''
}

# Prints a setting: from the environment, else from the file where `make run` left them: store_setting PYGMY_PORT_FRONTEND
store_setting() {
    local file=${PYGMY_CONFIG:-$settings}
    if [[ -n ${!1:-} ]]; then printf '%s' "${!1}" && return; fi
    sed -n "s/^$1=\"\(.*\)\"\$/\1/p" "$file" 2>/dev/null || :
}

# Sets urls, catalog_urls, order_urls and metrics_urls, as far as they were not given.
store_find() {
    local listen port name found
    if [[ $own == yes ]]; then store_start_own; fi
    # Who names a frontend names another store than this clone's: its other addresses are not guessed.
    if [[ ${#urls[@]} -gt 0 ]]; then return; fi
    # (A cluster's settings have whole URLs.)
    : "${ca_file:=$(store_setting PYGMY_PEER_CA)}" "${catalog_urls:=$(store_setting PYGMY_CATALOG_URL)}" "${order_urls:=$(store_setting PYGMY_ORDER_URL)}"
    listen=$(store_setting PYGMY_LISTEN)
    case ${listen:=127.0.0.1} in 0.0.0.0 | '*') listen=127.0.0.1 ;; '[::]') listen='[::1]' ;; esac
    port=$(store_setting PYGMY_PORT_FRONTEND)
    urls=("$(store_setting PYGMY_URL)")
    if [[ -z ${urls[0]} ]]; then urls=("http://$listen:${port:-8010}"); fi
    for name in CATALOG ORDER; do
        found=
        for port in "$(store_setting "PYGMY_PORT_${name}_A")" "$(store_setting "PYGMY_PORT_${name}_B")"; do
            if [[ -n $port ]]; then found+=${found:+,}http://$listen:$port; fi
        done
        if [[ $name == CATALOG && -z $catalog_urls ]]; then catalog_urls=$found; fi
        if [[ $name == ORDER && -z $order_urls ]]; then order_urls=$found; fi
    done
    port=$(store_setting PYGMY_PORT_METRICS)
    if [[ -z $metrics_urls && -n $port ]]; then metrics_urls=http://$listen:$port; fi
}

# The items, as lines `id count topic`: from the catalogue, else what the frontend knows of the first ids.
store_items() {
    local id
    if [[ -n $catalog_urls ]] && pygmy --json item list --all --limit 1000 >"$out/items.json" 2>"$out/items.err"; then
        jq -r '.item[] | "\(.id) \(.count) \(.topic)"' "$out/items.json"
        return
    fi
    for id in {1..100}; do
        pygmy --json lookup "$id" 2>"$out/items.err" | jq -r '.item[]? | "\(.id) \(.count) \(.topic)"' || return 0
    done
}

# Writes what can be asked for to $out/items and $out/topics.
store_learn() {
    local id rest
    curl -fsS --max-time 10 -o /dev/null -- "${urls[0]}/healthz" 2>"$out/reach.err" ||
        fail "$exit_unreachable" "there is no store at ${urls[0]}: $(<"$out/reach.err") ('make run' starts one, --own brings one)"
    store_items >"$out/stock"
    cut -d ' ' -f 1 "$out/stock" >"$out/items"
    cut -d ' ' -f 3- "$out/stock" | sort -u >"$out/topics"
    [[ -s $out/items ]] || fail "$exit_unreachable" "the store at ${urls[0]} has no items: $(tail -n 1 "$out/items.err")"
    if [[ -n $stock ]]; then
        while read -r id rest; do
            pygmy item set "$id" --count "$stock" >/dev/null || fail "$exit_unreachable" "the stock could not be set"
        done <"$out/stock"
    fi
    say "Store: ${urls[*]}, $(wc -l <"$out/items") items, $(wc -l <"$out/topics") topics"
}
