#!/usr/bin/env bash
# Builds the Debian package: ansible/package/build.sh [VERSION]   (`make deb`, `make deb DEB_VERSION=0.2.0-1`)
#
# Into .build/deb/pygmy_<version>_<architecture>.deb, for the distribution of this machine, as anybody. The version is that of
# db/version.h with -1 behind it; a given one becomes the programs' own, too. Needs the packages of `client/deps.sh deb`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'deb: %s\n' "$1" >&2
    exit 1
}

readonly package=ansible/package folder=.build/deb tree=.build/deb/tree
own=$(sed -n 's/^#define PYGMY_VERSION "\(.*\)"$/\1/p' db/version.h)
version=${1:-$own-1}
[[ $version =~ ^[0-9][0-9A-Za-z.+~]*-[0-9A-Za-z.+~]+$ ]] || fail "a version is like 0.1.0-1, not '$version'"
readonly upstream=${version%-*} log=$folder/build.log

# Files as they are, with their times, so that only what has changed is compiled again.
mkdir -p -- "$tree" "$folder"
rm -rf -- "$tree/debian"
for part in db fcgi nginx client ansible/package; do
    mkdir -p -- "$tree/$part"
    find "$tree/$part" -type f -print0 | while IFS= read -r -d '' file; do
        if [[ ! -e ${file#"$tree"/} ]]; then rm -f -- "$file"; fi
    done
    cp -dRpu -- "$part/." "$tree/$part/"
done
cp -pu -- Makefile LICENSE README.md "$tree/"
if [[ $(sed -n 's/^#define PYGMY_VERSION "\(.*\)"$/\1/p' "$tree/db/version.h") != "$upstream" ]]; then
    sed "s/^\(#define PYGMY_VERSION \).*/\1\"$upstream\"/" db/version.h >"$tree/db/version.h"
fi

cp -R -- "$package/debian" "$tree/debian"
# Two builds of the same sources are the same package.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y db/version.h)}"
export SOURCE_DATE_EPOCH DEB_BUILD_OPTIONS="noautodbgsym nocheck ${DEB_BUILD_OPTIONS:-}"
sed "s/@VERSION@/$version/; s/@DATE@/$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")/" "$package/debian/changelog.in" >"$tree/debian/changelog"
rm -f -- "$tree/debian/changelog.in"

for variable in "${!MAKE@}" MFLAGS; do unset "$variable"; done
(cd -- "$tree" && dpkg-buildpackage --build=binary --no-pre-clean --unsigned-changes --no-sign --jobs="${DEB_JOBS:-$(nproc)}") >"$log" 2>&1 || {
    tail -n 40 -- "$log" >&2
    fail "the package can't be built (log: $log)"
}
deb=$folder/pygmy_${version}_$(dpkg --print-architecture).deb
[[ -s $deb ]] || fail "there is no $deb (log: $log)"
printf '%s\n' "$deb"
