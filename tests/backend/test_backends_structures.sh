# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Networks with the structures of well-known CNNs, written by python3-onnx with the quirks of PyTorch's export, on every
# backend: see test_backends_models.c for what is checked.
: "${top_srcdir:?}" "${top_builddir:?}" # set by `make check`
for python in /usr/bin/python3 python3; do
    "$python" -c 'import onnx, numpy' 2>/dev/null && break
    python=
done
if [ -z "$python" ]; then
    echo "1..0 # SKIP python3-onnx is not installed"
    exit 0
fi
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
if ! "$python" "$top_srcdir/tests/backend/structures.py" "$folder" >"$folder/list"; then
    echo "Bail out! structures.py failed"
    exit 1
fi
mapfile -t models <"$folder/list"
"$top_builddir/tests/backend/test_backends_models" "${models[@]}"
