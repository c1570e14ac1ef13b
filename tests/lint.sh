#!/usr/bin/env bash
# Checks what can be told from the text of the tree, and prints one line of TAP per check.
#
# The rules are the project's: who may include what (the database knows no FastCGI, apply knows neither clock nor
# network), which functions are never called, that gcc's and clang's warnings agree, that shell scripts are clean.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

number=0 bad=0

# Prints the outcome of a check: check <name> <text of what was found; empty is good>
check() {
    number=$((number + 1))
    if [[ -z $2 ]]; then
        printf 'ok %d %s\n' "$number" "$1"
    else
        bad=1
        printf 'not ok %d %s\n' "$number" "$1"
        printf '# %s\n' "${2//$'\n'/$'\n'# }"
    fi
}

# Prints the files of the tree whose name matches a pattern, NUL-terminated.
files() {
    local pattern arguments=()
    for pattern in "$@"; do arguments+=(-o -name "$pattern"); done
    find . -path ./.build -prune -o -path ./.git -prune -o -type f \( "${arguments[@]:1}" \) -print0
}

# Prints the lines that match an extended pattern in C code with comments and strings left out.
find_in_code() {
    local pattern=$1 file
    shift
    for file in "$@"; do
        gcc -fpreprocessed -dD -E -P -x c "$file" 2>&1 | sed -E 's/"([^"\\]|\\.)*"/""/g' |
            grep -nE "$pattern" | sed "s|^[0-9]*:|$file: |" || :
    done
}

includes() { grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($1)" "${@:2}" /dev/null || :; }

shopt -s nullglob
mapfile -d '' c_files < <(files '*.c' '*.h')
# Files that are only sourced are checked with those that source them.
mapfile -t shell_files < <(files '*.sh' '*.bats' run | xargs -0 awk 'FNR == 1 {if (/^#!/) print FILENAME; nextfile}')
shell_files+=(tests/system/*.bash)
apply=(db/apply*.[ch])

check 'shell scripts: shellcheck finds nothing' "$(shellcheck --external-sources --source-path=SCRIPTDIR "${shell_files[@]}" 2>&1 || :)"

check 'layering: db/ includes no FastCGI header and nothing of fcgi/, nginx/ or client/' \
    "$(includes 'fcgi|fcgiapp|fastcgi|nginx/|client/' db/*.[ch])"

check 'layering: apply includes no clock, network, environment or thread header' \
    "$(includes 'curl/|time\.h|sys/time\.h|sys/socket\.h|netinet/|arpa/|netdb\.h|pthread\.h|db/monotonic\.h|db/log' "${apply[@]}")"

check 'layering: apply asks for no time, randomness, environment or file' \
    "$(find_in_code '\b(time|clock|clock_gettime|gettimeofday|random|rand|getrandom|randombytes_[a-z]+|getenv|fopen|open|socket)[[:space:]]*\(|CURRENT_TIMESTAMP' "${apply[@]}")"

check 'layering: nginx/ and client/ include nothing of fcgi/' "$(includes 'fcgi/' nginx/*.[ch] client/pygmy/*.[ch])"

check 'C: no banned function is called' \
    "$(find_in_code '\b(sprintf|vsprintf|strcpy|strcat|stpcpy|strtok|gets|atoi|atol|atoll|alloca|system|tmpnam|mktemp)[[:space:]]*\(' "${c_files[@]}")"

nginx_folders=(.build/nginx .build/nginx/src/{core,event,event/modules,os/unix,http,http/modules})
flags=(-std=c11 -D_GNU_SOURCE -I. "${nginx_folders[@]/#/-isystem}" -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror -fsyntax-only)
mapfile -t libraries < <(pkg-config --cflags sqlite3 jansson libsodium libcurl | tr ' ' '\n' | grep . || :)
# nginx's headers, which `make all` has brought.
for folder in . src/core src/event src/event/modules src/os/unix src/http src/http/modules; do
    libraries+=(-isystem ".build/nginx/$folder")
done
check 'C: clang warns of nothing' \
    "$(files '*.c' | xargs -0 -r -n 8 -P "$(nproc)" clang "${flags[@]}" "${libraries[@]}" 2>&1 || :)"

check 'C: every header can be included alone' \
    "$(files '*.h' | grep -zv '^./tests/' | xargs -0 -r -n 1 -P "$(nproc)" gcc "${flags[@]}" -x c "${libraries[@]}" 2>&1 || :)"

mapfile -d '' python_files < <(files '*.py')
check 'python: pyflakes finds nothing' "$(/usr/bin/python3 -m pyflakes "${python_files[@]}" 2>&1 || :)"

check 'ansible: yamllint finds nothing' "$(cd ansible || exit; yamllint --format parsable --strict -c .yamllint . 2>&1 || :)"

# It follows the playbooks into their roles; offline, with the collections that Debian's package of Ansible brings.
check 'ansible: ansible-lint finds nothing, by its strictest profile' \
    "$(cd ansible || exit; told=$(ansible-lint -c .ansible-lint --offline --nocolor -q -p ./*.yml 2>&1) || printf '%s\n' "$told")"

check 'tree: nothing that looks like a secret' \
    "$(files '*' | grep -zv '^./tests/' |
        xargs -0 grep -lIE 'BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|(^|[^0-9a-f])[0-9a-f]{64}([^0-9a-f]|$)' -- || :)"

check 'tree: the top level holds only the known folders and files' \
    "$(find . -mindepth 1 -maxdepth 1 ! -name '.*' | sed 's|^\./||' |
        grep -vxE 'fcgi|nginx|db|client|ansible|tests|Makefile|README\.md|LICENSE' || :)"

printf '1..%d\n' "$number"
exit "$bad"
