#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The report's page from its sources: bundle.sh SOURCES WORK OUTPUT
# Works on copies in the folder WORK, where node_modules comes to lie. npm fetches what the lock file names, by its digests,
# and runs none of its scripts.
set -eu
sources=$(cd "$1" && pwd) output=$3
mkdir -p "$2"
work=$(cd "$2" && pwd)
rm -rf "$work/src"
(cd "$sources" && cp -Rpf package.json package-lock.json .npmrc build.js page.html src "$work")
chmod -R u+w "$work"
(
    cd "$work"
    # shellcheck disable=SC3013 # dash knows -nt as well
    [ node_modules/.package-lock.json -nt package-lock.json ] ||
        npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --fetch-retries=1 --fetch-timeout=30000 >/dev/null
)
node "$work/build.js" "$output.new"
mv -f "$output.new" "$output"
