#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031
# The whole HTTP interface, row by row, on every port that has it: what the envelopes look like, byte for byte.

load helpers
load shared_store

setup_file() { shared_store_setup; }
teardown() { shared_store_check; }
teardown_file() { shared_store_teardown; }

book1='{"cost":10,"count":100,"id":1,"title":"How to get a good grade in 677 in 20 minutes a day.","topic":"distributed systems"}'
book2='{"cost":10,"count":100,"id":2,"title":"RPCs for Dummies.","topic":"distributed systems"}'
book3='{"cost":10,"count":100,"id":3,"title":"Xen and the Art of Surviving Graduate School.","topic":"graduate school"}'
book4='{"cost":8,"count":100,"id":4,"title":"Cooking for the Impatient Graduate Student.","topic":"graduate school"}'
book5='{"cost":7,"count":100,"id":5,"title":"How to finish Project 3 on time","topic":"distributed systems"}'
book6='{"cost":6,"count":100,"id":6,"title":"Why theory classes are so hard.","topic":"graduate school"}'
book7='{"cost":5,"count":100,"id":7,"title":"Spring in the Pioneer Valley","topic":"graduate school"}'
good='"status":"Success","validation_code":200}'
success='"message":{},'$good

# Makes an item for one test and sets `id`: new_item <count> [topic] [cost]
new_item() {
    admin POST "$catalog_a/item" "{\"title\":\"Made by a test\",\"topic\":\"${2:-tests}\",\"cost\":${3:-3},\"count\":$1}"
    assert_equal "$code" 201 "$body"
    id=$(json '.item[0].id')
}

@test "search: the items of a topic, on the frontend and both catalog workers" {
    local base path
    for base in "$frontend" "$catalog_a" "$catalog_b"; do
        for path in '/search?topic=distributed%20systems' '/search?topic=distributed+systems'; do
            http GET "$base$path"
            assert_answer 200 "{\"item\":[$book1,$book2,$book5],$success"
        done
        http GET "$base/search?topic=no+such+topic"
        assert_answer 200 "{\"item\":[],$success"
    done
    for base in "$catalog_a" "$catalog_b"; do
        http GET "$base/item?topic=graduate+school"
        assert_answer 200 "{\"item\":[$book3,$book4,$book6,$book7],$success"
        http GET "$base/item"
        assert_answer 200 "{\"item\":[$book1,$book2,$book3,$book4,$book5,$book6,$book7],$success"
    done
}

@test "search: long lists come in pages that name the next one" {
    local base
    for base in "$frontend/search" "$catalog_b/item"; do
        http GET "$base?topic=graduate+school&limit=2"
        assert_answer 200 "{\"item\":[$book3,$book4],\"message\":{},\"next\":4,\"status\":\"Success\",\"validation_code\":200}"
        http GET "$base?topic=graduate+school&limit=2&after=4"
        assert_answer 200 "{\"item\":[$book6,$book7],$success"
        http GET "$base?after=7&topic=graduate+school"
        assert_answer 200 "{\"item\":[],$success"
    done
    http GET "$catalog_a/item?limit=3&after=2"
    assert_answer 200 "{\"item\":[$book3,$book4,$book5],\"message\":{},\"next\":5,\"status\":\"Success\",\"validation_code\":200}"
}

@test "lookup: one item, or the documented 404" {
    local url
    for url in "$frontend/lookup?id=3" "$catalog_a/item/3" "$catalog_b/item/3" "$catalog_a/lookup?id=3"; do
        http GET "$url"
        assert_answer 200 "{\"item\":[$book3],$success"
        [[ $(header ETag) =~ ^\"[0-9a-f]{32}\"$ || $(header ETag) =~ ^\"[0-9a-f]+\"$ ]]
        [[ $(header X-Pygmy-Revision) =~ ^[0-9]+$ && $(header X-Pygmy-Changed) =~ ^[0-9]+$ ]]
        assert_equal "$(header Cache-Control)" no-cache
        assert_equal "$(header X-Accel-Expires)" '' 'that is between the worker and nginx'
    done
    for url in "$frontend/lookup?id=98765" "$catalog_a/item/98765" "$catalog_b/lookup?id=98765"; do
        http GET "$url"
        assert_answer 404 '{"code":"item_not_found","message":"There is no item with id 98765.","status":"Failed","validation_code":404}'
    done
}

@test "HEAD: the head of GET without a body, everywhere" {
    local url length
    for url in "$frontend/lookup?id=4" "$frontend/search?topic=graduate+school" "$catalog_a/item/4" "$order_a/orders" "$order_b/livez" "$frontend/"; do
        http GET "$url"
        assert_equal "$code" 200 "$url"
        length=$(header Content-Length)
        http HEAD "$url"
        assert_equal "$code" 200 "$url"
        assert_equal "$(header Content-Length)" "$length" "$url"
        assert_equal "$(wc -c <"$store_dir/http.body")" "$(tail -c +1 "$store_dir/http.headers" | wc -c)" 'curl shows the head as body'
    done
    # A HEAD fills the cache with the whole answer.
    http HEAD "$frontend/lookup?id=6"
    http GET "$frontend/lookup?id=6"
    assert_answer 200 "{\"item\":[$book6],$success"
}

@test "ETag: 304 to who has the answer already, from the cache and from the workers" {
    local url tag
    for url in "$frontend/lookup?id=5" "$catalog_b/item/5" "$frontend/search?topic=distributed+systems" "$catalog_a/item"; do
        http GET "$url"
        http GET "$url"
        tag=$(header ETag)
        [[ $tag == '"'*'"' ]]
        http GET "$url" -H "If-None-Match: $tag"
        assert_equal "$code $body" '304 ' "$url"
        assert_equal "$(header ETag)" "$tag"
        http GET "$url" -H "If-None-Match: \"0\", $tag"
        assert_equal "$code" 304 "$url"
        http GET "$url" -H 'If-None-Match: "00000000000000000000000000000000"'
        assert_equal "$code" 200 "$url"
    done
    # The first request of all may ask for a change, too: the cache must not keep a 304.
    http GET "$catalog_a/item/7"
    tag=$(header ETag)
    http GET "$frontend/lookup?id=7" -H "If-None-Match: $tag"
    assert_equal "$code" 304
    http GET "$frontend/lookup?id=7"
    assert_answer 200 "{\"item\":[$book7],$success"
}

@test "If-Match on a read: 412 when it does not fit, on a connection that stays" {
    local url tag
    for url in "$frontend/lookup?id=5" "$frontend/search?topic=never+asked+for" "$catalog_b/item/5" "$catalog_a/item"; do
        # Twice in one connection, first when nothing is cached yet.
        run -0 curl -sS -o /dev/null -w '%{http_code} %{num_connects} ' -H 'If-Match: "x"' "$url" --next -sS -o /dev/null \
            -w '%{http_code} %{num_connects}' -H 'If-Match: "x"' "$url"
        assert_equal "$output" '412 1 412 0' "$url"
        http GET "$url"
        tag=$(header ETag)
        http GET "$url" -H "If-Match: \"x\", $tag"
        assert_equal "$code" 200 "$url"
        http GET "$url" -H "If-Match: $tag" -H "If-None-Match: $tag"
        assert_equal "$code" 304 "$url"
        # Without a date of the last change this one is to be ignored.
        http GET "$url" -H 'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT'
        assert_equal "$code" 200 "$url"
    done
}

@test "buy: by query, by path, by JSON, on the frontend and both order workers" {
    local id order before
    new_item 100
    before=$(sql 'SELECT count(*) FROM orders')
    order=$(($(sql 'SELECT coalesce(max(id), 0) FROM orders') + 1))
    bought() {
        assert_answer 200 "{\"message\":\"Item with id $id bought successfully.\",\"order\":{\"id\":$order},$good"
        order=$((order + 1))
    }
    http GET "$frontend/buy?id=$id" && bought
    http POST "$frontend/buy?id=$id" && bought
    http POST "$frontend/buy?id=$id&quantity=3" && bought
    send POST "$frontend/buy" '' "{\"id\":$id}" && bought
    send POST "$frontend/buy" '' "{\"quantity\":4,\"id\":$id}" && bought
    send POST "$frontend/buy?id=$id" '' '{"quantity":2}' && bought
    http GET "$order_a/buy/$id" && bought
    http POST "$order_b/buy/$id" && bought
    http GET "$order_b/buy/$id?quantity=5" && bought
    send POST "$order_a/buy/$id" '' '{"quantity":2}' && bought
    http GET "$order_a/buy?id=$id" && bought
    send POST "$order_b/buy" '' "{\"id\":$id,\"quantity\":1}" && bought
    assert_equal "$(sql 'SELECT count(*) FROM orders')" $((before + 12))
    assert_equal "$(item_count "$id") $(order_count "$id")" '77 23'
    [[ $(header X-Pygmy-Request-Key) =~ ^[A-Za-z0-9._:-]{1,128}$ ]]
}

@test "buy: sold out, unknown and too many are 404 with codes of their own, and change nothing" {
    local id base before
    new_item 2
    before=$(sql 'SELECT count(*) FROM orders')
    for base in "$frontend" "$order_a" "$order_b"; do
        http POST "$base/buy?id=$id&quantity=3"
        assert_answer 404 "{\"code\":\"insufficient_stock\",\"message\":\"Only 2 of the item with id $id are left.\",\"status\":\"Failed\",\"validation_code\":404}"
        http GET "$base/buy?id=98765"
        assert_answer 404 '{"code":"item_not_found","message":"The item with id 98765 is no longer present in the catalog server","status":"Failed","validation_code":404}'
    done
    assert_equal "$(sql 'SELECT count(*) FROM orders') $(item_count "$id")" "$before 2"
    http POST "$frontend/buy?id=$id&quantity=2"
    assert_equal "$code" 200
    http POST "$frontend/buy?id=$id"
    assert_answer 404 "{\"code\":\"sold_out\",\"message\":\"The item with id $id is no longer present in the catalog server\",\"status\":\"Failed\",\"validation_code\":404}"
    assert_equal "$(sql 'SELECT count(*) FROM orders') $(item_count "$id")" "$((before + 1)) 0"
}

@test "orders: one, all, forwards and backwards in pages" {
    local id order created base n
    new_item 100 tests 2.5
    for n in 1 2 3; do http POST "$frontend/buy?id=$id&quantity=$n"; done
    order=$(json .order.id)
    created=$(sql "SELECT created_ms FROM orders WHERE id = $order")
    for base in "$order_a" "$order_b"; do
        http GET "$base/orders/$order"
        assert_answer 200 "{\"message\":{},\"order\":{\"cost\":2.5,\"created_ms\":$created,\"id\":$order,\"item_id\":$id,\"quantity\":3,\"total\":7.5},\"status\":\"Success\",\"validation_code\":200}"
        http GET "$base/orders?after=$((order - 3))"
        assert_equal "$code $(json '[.order[].quantity]') $(json 'keys')" '200 [1,2,3] ["message","order","status","validation_code"]'
        http GET "$base/orders?after=$((order - 3))&limit=2"
        assert_equal "$code $(json '[.order[].quantity]') $(json .next)" "200 [1,2] $((order - 1))"
        http GET "$base/orders?before=$((order + 1))&limit=2"
        assert_equal "$code $(json '[.order[].quantity]') $(json .next)" "200 [3,2] $((order - 1))"
        http GET "$base/orders?before=2"
        assert_equal "$code $(json '[.order[].id]') $(json 'has("next")')" '200 [1] false'
        http GET "$base/orders?after=$order"
        assert_answer 200 '{"message":{},"order":[],"status":"Success","validation_code":200}'
        http GET "$base/orders/98765"
        assert_answer 404 '{"code":"order_not_found","message":"There is no order with id 98765.","status":"Failed","validation_code":404}'
    done
    http GET "$order_a/orders"
    assert_equal "$(json '.order | length')" "$(sql 'SELECT min(100, count(*)) FROM orders')"
    assert_equal "$(json '[.order[].id] == ([.order[].id] | sort)')" true
}

@test "catalogue: make, change and delete an item, on both catalog workers" {
    local id base
    for base in "$catalog_a" "$catalog_b"; do
        admin POST "$base/item" '{"title":"Ein Buch über \"Ü\"","topic":"äöü","cost":11.85,"count":3}'
        id=$(json '.item[0].id')
        assert_answer 201 "{\"item\":[{\"cost\":11.85,\"count\":3,\"id\":$id,\"title\":\"Ein Buch über \\\"Ü\\\"\",\"topic\":\"äöü\"}],\"message\":{},\"status\":\"Success\",\"validation_code\":201}"
        assert_equal "$(header Location)" "/item/$id"
        admin PUT "$base/item/$id" '{"cost":4.5}'
        assert_answer 201 '{"item":{},"message":{},"status":"Success","validation_code":201}'
        admin PUT "$base/item/$id" '{"count":50}'
        admin PUT "$base/item/$id" '{"delta":-8}'
        admin PUT "$base/item/$id" '{"delta":1,"cost":0.5}'
        http GET "$frontend/lookup?id=$id"
        assert_equal "$(json '.item[0] | [.cost, .count]')" '[0.5,43]'
        admin PUT "$base/item/$id" '{"delta":-44}'
        assert_refused 409 stock_conflict
        http GET "$frontend/search?topic=%C3%A4%C3%B6%C3%BC"
        assert_equal "$(json '.item[0].count')" 43
        admin DELETE "$base/item/$id"
        assert_answer 200 '{"item":{},"message":{},"status":"Success","validation_code":200}'
        for path in "$frontend/lookup?id=$id" "$base/item/$id"; do
            http GET "$path"
            assert_refused 404 item_not_found
        done
        admin DELETE "$base/item/$id"
        assert_refused 404 item_not_found
        admin PUT "$base/item/$id" '{"count":1}'
        assert_refused 404 item_not_found
        http GET "$frontend/search?topic=%C3%A4%C3%B6%C3%BC"
        assert_answer 200 "{\"item\":[],$success"
    done
    assert_books_balance
}

@test "catalogue: If-Match lets only who knows the item change it" {
    local id tag
    new_item 5
    http GET "$catalog_a/item/$id"
    tag=$(header ETag)
    admin PUT "$catalog_a/item/$id" '{"count":6}' -H "If-Match: $tag"
    assert_equal "$code" 201
    admin PUT "$catalog_b/item/$id" '{"count":7}' -H "If-Match: $tag"
    assert_refused 412 precondition_failed
    admin PUT "$catalog_b/item/$id" '{"count":7}' -H 'If-Match: "something else"'
    assert_refused 412 precondition_failed
    admin PUT "$catalog_b/item/$id" '{"count":7}' -H "If-Match: W/$tag"
    assert_refused 412 precondition_failed
    admin DELETE "$catalog_b/item/$id" '' -H "If-Match: $tag"
    assert_refused 412 precondition_failed
    assert_equal "$(item_count "$id")" 6
    admin PUT "$catalog_a/item/$id" '{"count":8}' -H 'If-Match: *'
    assert_equal "$code" 201
    # The cached answer's tag is the same tag.
    http GET "$frontend/lookup?id=$id"
    http GET "$frontend/lookup?id=$id"
    tag=$(header ETag)
    admin DELETE "$catalog_a/item/$id" '' -H "If-Match: $tag"
    assert_equal "$code" 200
    admin PUT "$catalog_a/item/$id" '{"count":8}' -H 'If-Match: *'
    assert_refused 404 item_not_found
}

@test "catalogue: import many items, new and known, all or none" {
    local base
    for base in "$catalog_a" "$catalog_b"; do
        admin POST "$base/item/import" '{"items":[{"id":5001,"title":"One","topic":"import","cost":1,"count":1},{"id":5002,"title":"Two","topic":"import","cost":2,"count":2}],"replace":false}'
        assert_answer 201 '{"item":{},"message":"2 items imported","status":"Success","validation_code":201}'
        http GET "$frontend/search?topic=import"
        assert_equal "$(json '[.item[] | [.id, .title, .count]]')" '[[5001,"One",1],[5002,"Two",2]]'
        admin POST "$base/item/import" '{"items":[{"id":5002,"title":"Second","topic":"import","cost":2,"count":22}]}'
        assert_equal "$code" 201
        admin POST "$base/item/import" '{"items":[{"id":5001,"title":"Lost","topic":"import","cost":1,"count":1},{"id":5003,"title":"","topic":"import","cost":1,"count":1}]}'
        assert_refused 400 invalid_field
        http GET "$frontend/search?topic=import"
        assert_equal "$(json '[.item[] | [.id, .title, .count]]')" '[[5001,"One",1],[5002,"Second",22]]'
    done
}

@test "tokens: the catalogue is the administrator's, propagation is the peers'" {
    local id base token before
    new_item 5
    before=$(store_content)
    for base in "$catalog_a" "$catalog_b"; do
        for token in '' "$(peer_token)" "${id}0123" "$(admin_token)0" "$(admin_token | tr 0-9a-f 1-9a-f0)"; do
            send PUT "$base/item/$id" "$token" '{"count":1}'
            assert_refused 401 unauthorized
            [[ $(header WWW-Authenticate) == Bearer* ]]
            send POST "$base/item" "$token" '{"title":"t","topic":"t","cost":1,"count":1}'
            assert_refused 401 unauthorized
            send POST "$base/item/import" "$token" '{"items":[]}'
            assert_refused 401 unauthorized
            send DELETE "$base/item/$id" "$token" ''
            assert_refused 401 unauthorized
        done
        for token in '' "$(admin_token)" nonsense; do
            send PUT "$base/item/propagate/$id" "$token" '{"count":1}' -H 'Idempotency-Key: from-nobody'
            assert_refused 401 unauthorized
        done
    done
    for base in "$order_a" "$order_b"; do
        for token in '' "$(admin_token)" nonsense; do
            send PUT "$base/update" "$token" "{\"item_id\":$id,\"quantity\":1}" -H 'Idempotency-Key: from-nobody'
            assert_refused 401 unauthorized
        done
    done
    assert_equal "$(store_content)" "$before"
    http PUT "$catalog_a/item/$id" -H "Authorization: bearer $(admin_token)" -H 'Content-Type: application/json; charset=UTF-8' --data-binary '{"count":1}'
    assert_equal "$code" 201 'the scheme is case-insensitive, and so is the charset'
}

@test "propagate: the same update id is applied once, whichever worker gets it, whoever sends it" {
    local id
    new_item 50
    peer PUT "$catalog_a/item/propagate/$id" '{"delta":-5}' -H "Idempotency-Key: update-$id"
    assert_answer 201 '{"item":{},"message":{},"status":"Success","validation_code":201}'
    peer PUT "$catalog_b/item/propagate/$id" '{"delta":-5}' -H "Idempotency-Key: update-$id"
    assert_answer 201 '{"item":{},"message":{},"status":"Success","validation_code":201}'
    admin PUT "$catalog_b/item/$id" '{"delta":-5}' -H "Idempotency-Key: update-$id"
    assert_equal "$code" 201
    assert_equal "$(item_count "$id")" 45
    peer PUT "$catalog_a/item/propagate/$id" '{"delta":-6}' -H "Idempotency-Key: update-$id"
    assert_refused 422 key_reused
    peer PUT "$catalog_a/item/propagate/$id" '{"delta":-6}'
    assert_refused 400 key_required
    assert_equal "$(item_count "$id")" 45
}

@test "update: an order of another replica is added once" {
    local id order
    new_item 50
    peer PUT "$order_a/update" "{\"item_id\":$id,\"quantity\":2}" -H "Idempotency-Key: order-$id"
    order=$(sql 'SELECT max(id) FROM orders')
    assert_answer 201 "{\"item\":{},\"message\":\"successfully updated order id $order\",\"status\":\"Success\",\"validation_code\":201}"
    peer PUT "$order_b/update" "{\"item_id\":$id,\"quantity\":2}" -H "Idempotency-Key: order-$id"
    assert_answer 201 "{\"item\":{},\"message\":\"successfully updated order id $order\",\"status\":\"Success\",\"validation_code\":201}"
    # An order that was made here and comes back from a peer.
    http POST "$order_a/buy/$id" -H "Idempotency-Key: bought-$id"
    order=$(json .order.id)
    peer PUT "$order_b/update" "{\"item_id\":$id,\"quantity\":1}" -H "Idempotency-Key: bought-$id"
    assert_equal "$code $(json .message)" "201 successfully updated order id $order"
    assert_equal "$(item_count "$id") $(order_count "$id")" '47 3'
    peer PUT "$order_b/update" "{\"item_id\":$id,\"quantity\":1}"
    assert_refused 400 key_required
}

@test "keys: the same request again gets the recorded answer byte for byte, also after a restart" {
    local id base n
    new_item 3
    ask_again() { # <file>: repeats the four requests on another worker each time
        local url=$1
        {
            http POST "$url/buy?id=$id&quantity=2" -H "Idempotency-Key: good-$id" && cat "$store_dir/http.body"
            http POST "$url/buy?id=$id&quantity=2" -H "Idempotency-Key: refused-$id" && cat "$store_dir/http.body"
            http GET "$url/buy?id=98765" -H "Idempotency-Key: unknown-$id" && cat "$store_dir/http.body"
        } >"$2"
    }
    ask_again "$order_a" "$store_dir/first"
    admin PUT "$catalog_a/item/$id" '{"count":90}' # what was refused would be possible now
    n=$(store_content)
    for base in "$order_b" "$frontend" "$frontend" "$order_a"; do
        ask_again "$base" "$store_dir/again"
        cmp "$store_dir/first" "$store_dir/again"
    done
    admin POST "$catalog_a/item" '{"title":"once","topic":"t","cost":1,"count":1}' -H "Idempotency-Key: make-$id"
    cp "$store_dir/http.body" "$store_dir/made"
    n=$(store_content)
    store restart
    ask_again "$order_b" "$store_dir/again"
    cmp "$store_dir/first" "$store_dir/again"
    ask_again "$frontend" "$store_dir/again"
    cmp "$store_dir/first" "$store_dir/again"
    admin POST "$catalog_b/item" '{"title":"once","topic":"t","cost":1,"count":1}' -H "Idempotency-Key: make-$id"
    cmp "$store_dir/made" "$store_dir/http.body"
    assert_equal "$(store_content)" "$n"
}

@test "keys: other parameters under a known key are refused with 422" {
    local id
    new_item 30
    http POST "$frontend/buy?id=$id" -H "Idempotency-Key: mine-$id"
    assert_equal "$code $(header X-Pygmy-Request-Key)" "200 mine-$id"
    for path in "/buy?id=$id&quantity=2" '/buy?id=1'; do
        http POST "$frontend$path" -H "Idempotency-Key: mine-$id"
        assert_refused 422 key_reused
    done
    assert_equal "$(item_count "$id")" 29
    # The same text for another kind of request is another key.
    admin PUT "$catalog_a/item/$id" '{"delta":-1}' -H "Idempotency-Key: mine-$id"
    assert_equal "$code $(item_count "$id")" '201 28'
    admin PUT "$catalog_b/item/$id" '{"delta":-2}' -H "Idempotency-Key: mine-$id"
    assert_refused 422 key_reused
}

@test "keys: who sent none can repeat the request with the key that nginx made" {
    local id key
    new_item 30
    http POST "$frontend/buy?id=$id"
    cp "$store_dir/http.body" "$store_dir/first"
    key=$(header X-Pygmy-Request-Key)
    http POST "$order_b/buy?id=$id" -H "Idempotency-Key: $key"
    cmp "$store_dir/first" "$store_dir/http.body"
    assert_equal "$(header X-Pygmy-Request-Key)" "$key"
    http POST "$frontend/buy?id=$id&quantity=2" -H "Idempotency-Key: $key"
    assert_refused 422 key_reused
    # Without a key every request is a new one.
    http POST "$frontend/buy?id=$id"
    [[ $(header X-Pygmy-Request-Key) != "$key" ]]
    assert_equal "$(item_count "$id")" 28
}

@test "positions: a reader may ask for at least a position, or for the newest state" {
    local base revision
    admin PUT "$catalog_a/item/1" '{"cost":10}'
    revision=$(header X-Pygmy-Revision)
    for base in "$frontend/lookup?id=1" "$catalog_b/item/1" "$order_a/orders"; do
        http GET "$base" -H "X-Pygmy-Min-Revision: $revision"
        assert_equal "$code" 200 "$base"
        http GET "$base" -H 'X-Pygmy-Consistency: strict'
        assert_equal "$code" 200 "$base"
        http GET "$base" -H 'X-Pygmy-Consistency: casual'
        assert_refused 400 invalid_header
        http GET "$base" -H 'X-Pygmy-Min-Revision: soon'
        assert_refused 400 invalid_header
    done
    http GET "$catalog_a/item/1" -H "X-Pygmy-Min-Revision: $((revision + 1000))"
    assert_refused 503 behind
    [[ $(header Retry-After) -ge 1 ]]
}

@test "operators: livez, readyz and status of each worker; nobody else's" {
    local name base
    for name in catalog-A catalog-B order-A order-B; do
        case $name in
            catalog-A) base=$catalog_a ;; catalog-B) base=$catalog_b ;; order-A) base=$order_a ;; order-B) base=$order_b ;;
        esac
        http GET "$base/livez"
        assert_answer 200 '{"message":"alive","status":"Success","validation_code":200}'
        http GET "$base/readyz"
        assert_answer 200 '{"message":"ready","status":"Success","validation_code":200}'
        http GET "$base/readyz?verbose"
        assert_equal "$code $(json '[.checks[].ok] | all') $(json '[.checks[].name] | contains(["database", "replica"])')" '200 true true'
        http GET "$base/status"
        assert_equal "$code $(json '.worker | [.name, .kind, .ready, .pid]')" "200 [\"$name\",\"${name%-*}\",true,$(worker_pid "$name")]"
        assert_equal "$(json '.worker | [.items, .orders]')" \
            "[$(sql 'SELECT count(*) FROM items WHERE deleted = 0'),$(sql 'SELECT count(*) FROM orders')]"
    done
    http GET "$frontend/metrics"
    assert_refused 404 path_not_found
    http GET "$frontend/status"
    assert_refused 404 path_not_found
}

@test "metrics: well-formed text of Prometheus that counts what happened" {
    local base
    for base in "$catalog_a" "$catalog_b" "$order_a" "$order_b"; do
        http GET "$base/metrics"
        assert_equal "$code" 200
        [[ $(header Content-Type) == 'text/plain; version=0.0.4'* ]]
        awk -f "$BATS_TEST_DIRNAME/metrics.awk" "$store_dir/http.body"
    done
    bought() { http GET "$1/metrics" && sed -n 's/^pygmy_http_requests_total{route="\/buy",method="POST",code="200"} //p' "$store_dir/http.body"; }
    local before
    before=$(bought "$order_a")
    http POST "$order_a/buy?id=2"
    assert_equal "$(bought "$order_a")" $((before + 1))
}

@test "welcome and health: nginx itself answers, and names the API" {
    http GET "$frontend/"
    assert_equal "$code" 200
    local path
    for path in /search /lookup /buy; do assert_contains "$body" "$path"; done
    http GET "$frontend/healthz"
    assert_equal "$code" 200
    http GET "$frontend/nothing/here"
    assert_refused 404 path_not_found
    http GET "$catalog_a/buy?id=1"
    assert_refused 404 path_not_found
    http GET "$order_a/search?topic=x"
    assert_refused 404 path_not_found
    for path in /item /item/1 /orders /update; do
        http GET "$frontend$path"
        assert_refused 404 path_not_found
    done
}

@test "books balance after all of this" {
    assert_books_balance
}
