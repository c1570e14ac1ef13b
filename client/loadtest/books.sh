# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# Whether orders and stock add up after the test.
#
# Of each item, as many copies must be gone from the stock as the new orders have; every acknowledged purchase must be one of
# them, and no two the same. Orders that nobody acknowledged are those whose answer was lost (the clients know of how many), or somebody
# else's: in a store that is not our own that is told, not blamed.

books_verdict=unchecked books_text='' books_last_order=''

books_open() {
    local last
    # (With --stock the stock has changed since it was learned.)
    store_items >"$out/stock.before"
    if [[ -z $order_urls ]] || ! last=$(pygmy --json orders --last 1 2>"$out/orders.err"); then
        say "The books will not be checked: the orders can't be asked for (--order-url)"
        return
    fi
    books_last_order=$(jq -r '[.order[].id] | max // 0' <<<"$last")
}

# Orders that may have come about without an acknowledgement: failed purchases that had been sent.
books_unknown() {
    local folder rest sum=0 clients
    while read -r folder _ _ _ clients rest; do
        sum=$((sum + $(jq '[.operations[].unknown] | add // 0' "$folder/load.json")))
        # wrk does not tell which purchases were acknowledged, and leaves some under way at its end; so does an interrupted run.
        if [[ $(jq -r '.driver // ""' "$folder/load.json") == wrk ]]; then
            sum=$((sum + clients + $(jq '.operations.buy.ends.done // 0' "$folder/load.json")))
        elif [[ $(jq -r .interrupted "$folder/load.json") == true ]]; then
            sum=$((sum + clients))
        fi
    done <"$out/runs.list"
    printf '%d' "$sum"
}

books_check() {
    local unknown
    if [[ -z $books_last_order || ! -s $out/runs.list ]]; then return 0; fi
    cat "$out"/runs/*/acks >"$out/acks" 2>"$out/books.log" || :
    unknown=$(books_unknown)
    store_items >"$out/stock.after"
    pygmy --timeout 60 --json orders --after "$books_last_order" --all --limit 1000 2>"$out/orders.err" |
        jq -r '.order[] | "\(.id) \(.item_id) \(.quantity)"' >"$out/orders" || :
    if [[ -s $out/orders.err ]]; then
        books_verdict=unchecked books_text="the orders could not be read: $(tail -n 1 "$out/orders.err")"
        return 1
    fi
    books_text=$(awk -v unknown="$unknown" -v own="${own_folder:+yes}" -f "$parts/books.awk" "$out/stock.before" "$out/stock.after" "$out/orders" "$out/acks") &&
        books_verdict=balanced || books_verdict=wrong
    if [[ $books_verdict == wrong ]]; then printf '%s\n' "$books_text" >&2; else say "$books_text"; fi
    [[ $books_verdict == balanced ]]
}
