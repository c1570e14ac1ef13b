#!/usr/bin/env bash
# Gets the headers of the installed nginx, which nginx's module is compiled with.
#
#   nginx/headers.sh FOLDER
#
# They are in Debian's package nginx-dev. Installing that would bring fifty others, so only its files are used: from
# /usr/share/nginx/src where it is installed, else from the package, downloaded and unpacked into FOLDER. nginx's own configure
# script then writes the two headers that describe this machine. Without a network, install nginx-dev first.
set -euo pipefail

fail() {
    printf 'nginx/headers.sh: %s\n' "$*" >&2
    exit 1
}

[[ $# -eq 1 ]] || fail "usage: nginx/headers.sh FOLDER"
folder=$1
installed=$(dpkg-query -W -f='${Version}' nginx 2>/dev/null) || fail "nginx is not installed; run client/deps.sh"
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

# The package of the installed version, or of a later revision of the same nginx: its structures are the same.
download() {
    local version
    chmod 755 "$scratch"
    for version in "nginx-dev=$installed" nginx-dev; do
        if (cd -- "$scratch" && apt-get -q download "$version") >"$scratch/log" 2>&1; then return; fi
    done
    cat -- "$scratch/log" >&2
    fail "the package nginx-dev can't be downloaded; run apt-get update, or install nginx-dev"
}

if [[ -r /usr/share/nginx/src/configure ]]; then
    source_folder=/usr/share/nginx/src
else
    download
    dpkg-deb -x "$scratch"/nginx-dev_*.deb "$scratch/package"
    source_folder=$scratch/package/usr/share/nginx/src
fi

mkdir -p -- "$scratch/nginx"
cp -R -- "$source_folder/auto" "$source_folder/configure" "$source_folder/src" "$scratch/nginx/"
have=$(sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$scratch/nginx/src/core/nginx.h")
[[ $installed == "$have"-* ]] || fail "the headers are of nginx $have, installed is $installed"

# Of Debian's options those that the layout of nginx's structures depends on.
(cd -- "$scratch/nginx" && sh ./configure --with-compat --with-debug --with-pcre-jit --with-threads) >"$scratch/log" 2>&1 ||
    { tail -n 20 -- "$scratch/log" >&2 && fail "nginx's configure script failed"; }

rm -rf -- "$folder"
mkdir -p -- "$folder"
cp -R -- "$scratch/nginx/src" "$folder/src"
cp -- "$scratch/nginx/objs/ngx_auto_config.h" "$scratch/nginx/objs/ngx_auto_headers.h" "$folder/"
