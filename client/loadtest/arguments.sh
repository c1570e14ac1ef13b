# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # what loadtest.sh and its parts set for each other
# The command line of loadtest.sh.

# Whether every comma-separated part of $1 is a number from $2 to $3.
arguments_are_numbers() {
    local number
    [[ $1 =~ ^[0-9.,]+$ ]] || return 1
    for number in ${1//,/ }; do
        [[ $number =~ ^[0-9]+(\.[0-9]+)?$ ]] && awk -v n="$number" -v min="$2" -v max="$3" 'BEGIN {exit !(n >= min && n <= max)}' || return 1
    done
}

arguments_number() {
    arguments_are_numbers "$2" "$3" "$4" || fail "$exit_usage" "$1 takes a number from $3 to $4, not '$2'"
}

arguments_read() {
    local name
    own=no stock='' token_file='' ca_file='' clients='' rate='' poisson=no seconds=3 cache=both zipf=0 timeout_ms=10000 driver=auto
    mix=search=30,lookup=60,buy=10 fault='' fault_at='' marks='' out='' plots=yes quiet=no json=no report=''
    catalog_urls='' order_urls='' metrics_urls='' report_file=$parts/REPORT.md
    urls=() operations=() caches=() rates=() clients_list=()
    while [[ $# -gt 0 ]]; do
        name=$1
        case $name in
            --own) own=yes ;;
            --poisson) poisson=yes ;;
            --no-plots) plots=no ;;
            --quiet | -q) quiet=yes ;;
            --json) json=yes ;;
            --report) report=yes ;;
            -h | --help) usage && exit 0 ;;
            search | lookup | buy | mix) operations+=("$name") ;;
            --*)
                [[ $# -ge 2 ]] || fail "$exit_usage" "unknown option, or its value is missing: $name (see --help)"
                arguments_take "$name" "$2"
                shift
                ;;
            *) fail "$exit_usage" "unknown operation '$name': search, lookup, buy or mix (see --help)" ;;
        esac
        shift
    done
    arguments_derive
}

arguments_take() {
    case $1 in
        --url)
            [[ $2 =~ ^https?://[^/]+ ]] || fail "$exit_usage" "--url takes http://host:port, not '$2'"
            urls+=("${2%/}")
            ;;
        --catalog-url) catalog_urls=$2 ;;
        --order-url) order_urls=$2 ;;
        --metrics-url) metrics_urls=$2 ;;
        --token-file) token_file=$2 ;;
        --ca-file) ca_file=$2 ;;
        --stock) arguments_number "$1" "$2" 0 1000000000 && stock=$2 ;;
        --clients) arguments_number "$1" "$2" 1 4096 && clients=$2 ;;
        --rate) arguments_number "$1" "$2" 0.01 1000000 && rate=$2 ;;
        --seconds) arguments_number "$1" "$2" 1 3600 && seconds=$2 ;;
        --zipf) arguments_number "$1" "$2" 0 10 && zipf=$2 ;;
        --timeout-ms) arguments_number "$1" "$2" 1 600000 && timeout_ms=$2 ;;
        --cache) cache=$2 ;;
        --mix) mix=$2 ;;
        --driver) driver=$2 ;;
        --fault) fault=$2 ;;
        --fault-at) arguments_number "$1" "$2" 0 3600 && fault_at=$2 ;;
        --mark) marks=$2 ;;
        --out) out=$2 ;;
        --report-file) report=yes report_file=$2 ;;
        *) fail "$exit_usage" "unknown option $1 (see --help)" ;;
    esac
}

arguments_derive() {
    case $cache in
        on) caches=(cached) ;;
        off) caches=(strict) ;;
        both) caches=(cached strict) ;;
        *) fail "$exit_usage" "--cache takes on, off or both, not '$cache'" ;;
    esac
    case $driver in auto | wrk | pygmy-load) ;; *) fail "$exit_usage" "--driver takes wrk or pygmy-load, not '$driver'" ;; esac
    [[ $mix =~ ^(search|lookup|buy)=[0-9]+(,(search|lookup|buy)=[0-9]+)*$ ]] || fail "$exit_usage" "--mix takes search=W,lookup=W,buy=W, not '$mix'"
    [[ $installed == no || ($own == no && -z $report) ]] || fail "$exit_usage" "--own and --report need the project's clone, not only its package"
    [[ $own == no || ${#urls[@]} -eq 0 ]] || fail "$exit_usage" "--own and --url exclude each other"
    if [[ -n $rate && $driver == wrk ]]; then fail "$exit_usage" "wrk knows no fixed rate"; fi
    if [[ ${#operations[@]} -eq 0 ]]; then operations=(search lookup buy mix); fi
    if [[ -z $clients && -n $rate ]]; then clients=64; fi
    : "${clients:=1,4,16,64}" "${rate:=0}"
    IFS=, read -r -a rates <<<"$rate"
    IFS=, read -r -a clients_list <<<"$clients"
    if [[ -z $fault_at ]]; then fault_at=$(awk -v s="$seconds" 'BEGIN {print s / 3}'); fi
    if [[ -z $out ]]; then out=$results/$(date +%Y%m%d-%H%M%S); fi
    out=$(realpath -m -- "$out")
}

arguments_check_tools() {
    local tool tools=(jq curl awk "$bin/pygmy" "$bin/pygmy-load")
    if [[ $driver != pygmy-load ]]; then tools+=(wrk); fi
    if [[ $plots == yes ]]; then tools+=(gnuplot); fi
    for tool in "${tools[@]}"; do
        command -v "$tool" >/dev/null || fail "$exit_local" "$tool is missing; 'client/deps.sh run bench' installs tools, 'make all' builds programs"
    done
}
