#!/usr/bin/env bats
# The README's examples, run against a fresh store: every `$ command` of a ```console block, in order, must print what stands below
# it (`...` stands for the time of an order).

load helpers

setup_file() { store_setup; store_start; }
teardown_file() { store_teardown; }

# The README's addresses are the defaults; the store under test has ports of its own.
to_test_ports() {
    sed -e "s/:8010/:$PYGMY_PORT_FRONTEND/g" -e "s/:8011/:$PYGMY_PORT_CATALOG_A/g" -e "s/:8012/:$PYGMY_PORT_CATALOG_B/g" \
        -e "s/:8013/:$PYGMY_PORT_ORDER_A/g" -e "s/:8014/:$PYGMY_PORT_ORDER_B/g"
}

run_example() {
    local command=$1 expected=$2 actual
    actual=$(PYGMY_SECRETS_DIR=$PYGMY_STATE_DIR/secrets bash -c "$(to_test_ports <<<"$command")" |
        sed -E 's/"created_ms":[0-9]{13}/"created_ms":.../')
    if [[ $actual != "$expected" ]]; then
        printf 'README: $ %s\n  expected: %s\n  printed:  %s\n' "$command" "$expected" "$actual"
        return 1
    fi
}

@test "the README's examples print what the README says" {
    local line command='' expected='' inside='' count=0
    while IFS= read -r line; do
        if [[ $inside && ( $line == '```' || $line == '$ '* ) && $command ]]; then
            run_example "$command" "${expected%$'\n'}"
            count=$((count + 1))
            command=''
        fi
        case $line in
            '```console') inside=yes ;;
            '```') inside='' ;;
            '$ '*) if [[ $inside ]]; then command=${line#'$ '} expected=''; fi ;;
            *) if [[ $command ]]; then expected+=$line$'\n'; fi ;;
        esac
    done <"$BATS_TEST_DIRNAME/../../README.md"
    [ "$count" -ge 12 ]
}
