#!/usr/bin/env bash
# Takes this machine out of its peers' rotation, and back: /usr/lib/pygmy/drain on|off|status [node|frontend]
#
# A node that is drained answers GET /readyz with 503 `draining` on both its ports, so frontends stop asking it; a frontend answers
# GET /readyz on its public port so, for a load balancer in front of it. Both go on answering everything that comes. The mark is a
# file in the run folder: it outlives restarts, but not a boot. Without a role: of all roles that this machine has settings for.
set -euo pipefail

readonly exit_usage=2

fail() {
    printf 'drain: %s\n' "$2" >&2
    exit "$1"
}

# Prints the role's run folder.
folder_of() { case $1 in node) printf /run/pygmy ;; frontend) printf /run/pygmy-frontend ;; esac }

# The folder is the store's user's, so whatever is done in it is done as that user.
as_store() { setpriv --reuid=pygmy --regid=pygmy --clear-groups --inh-caps=-all --no-new-privs -- "$@"; }

drain() {
    local folder
    folder=$(folder_of "$2")
    case $1 in
        on)
            if [[ ! -d $folder ]]; then install -d -o pygmy -g pygmy -m 0750 -- "$folder"; fi
            as_store touch -- "$folder/draining"
            ;;
        off) if [[ -d $folder ]]; then as_store rm -f -- "$folder/draining"; fi ;;
    esac
    if [[ -e $folder/draining ]]; then printf '%s: draining\n' "$2"; else printf '%s: in service\n' "$2"; fi
}

roles=()
for role in node frontend; do
    if [[ -e /etc/pygmy/$role.env ]]; then roles+=("$role"); fi
done
[[ $# -ge 1 && $# -le 2 && $1 =~ ^(on|off|status)$ ]] || fail "$exit_usage" 'usage: drain on|off|status [node|frontend]'
[[ $EUID -eq 0 ]] || fail 1 'this needs root'
if [[ $# -eq 2 ]]; then
    [[ $2 =~ ^(node|frontend)$ ]] || fail "$exit_usage" "the role is node or frontend, not '$2'"
    roles=("$2")
fi
[[ ${#roles[@]} -gt 0 ]] || fail 1 'this machine is neither a node nor a frontend: there is no node.env and no frontend.env in /etc/pygmy'
for role in "${roles[@]}"; do drain "$1" "$role"; done
