#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Freezes the plugin ABI as it stands in sdk/include: run once when a version is released, never again for that version.
#   tests/abi/freeze.sh            writes v1/include, v1/*.c, v1/layout.h, v1/constants.txt and v1/sdk.abi
#   tests/abi/freeze.sh --baseline writes v1/sdk.abi alone: after a structure has legally grown at its end
# Needs gcc, abidw (abigail-tools) and python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
frozen=$here/v1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/abi/abi.sh
. "$here/abi.sh"

if [ "${1:-}" != --baseline ]; then
    mkdir -p "$frozen/include/napm"
    cp "$top"/sdk/include/napm/*.h "$frozen/include/napm/"
    for kind in backend loadgen partitioner scheduler; do
        cp "$top/sdk/template/$kind.c" "$frozen/$kind.c"
    done
    abi_constants "$top/sdk/include" >"$frozen/constants.txt"
fi

abi_object "$top/sdk/include" "$work/sdk.so"
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-parameter-names "$work/sdk.so" >"$frozen/sdk.abi"

if [ "${1:-}" != --baseline ]; then
    # Every member's place, from the same description, as assertions that any C compiler can check.
    python3 - "$frozen/sdk.abi" >"$frozen/layout.h" <<'PYTHON'
import sys
import xml.etree.ElementTree

print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Written by freeze.sh: the place of every member as released. LAYOUT(type, member, offset in bytes). */")
types = {}
for element in xml.etree.ElementTree.parse(sys.argv[1]).iter():
    if element.tag in ("class-decl", "union-decl") and element.get("name", "").startswith("napm_"):
        if element.get("is-declaration-only") != "yes":
            types[element.get("name")] = element
for name, element in sorted(types.items()):
    kind = "union" if element.tag == "union-decl" else "struct"
    for member in element.findall("data-member"):
        offset = int(member.get("layout-offset-in-bits", "0")) // 8
        print("LAYOUT(%s %s, %s, %d)" % (kind, name, member.find("var-decl").get("name"), offset))
    print("LAST(%s %s, %d)" % (kind, name, int(element.get("size-in-bits")) // 8))
PYTHON
fi
! grep -rnE "$top" "$frozen" # no path of this machine may be kept
