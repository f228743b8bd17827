#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The zoo's files pass ONNX's own checker, and our shapes equal ONNX's shape inference (where python3-onnx is there).
tool=$top_builddir/tests/model/model_tool
python=
for candidate in /usr/bin/python3 python3; do
    "$candidate" -c 'import onnx' 2>/dev/null && python=$candidate && break
done
names=$("$tool" list)
echo "1..$(($(echo "$names" | wc -l) + 1))"
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
number=0
for name in $names; do
    number=$((number + 1))
    if [ -z "$python" ]; then
        echo "ok $number - $name passes the ONNX checker # SKIP python3-onnx is not installed"
        continue
    fi
    case $name in # the half-gigabyte ones take long here and have no operators of their own
    vgg16 | alexnet)
        echo "ok $number - $name passes the ONNX checker # SKIP too large for every check"
        continue ;;
    esac
    if "$tool" zoo "$name" "$folder/model.onnx" && "$tool" shapes "$folder/model.onnx" >"$folder/shapes" &&
        "$python" - "$folder/model.onnx" "$folder/shapes" <<'PYTHON'; then
import sys
import onnx
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
ours = dict(line.split() for line in open(sys.argv[2]))
theirs = {v.name: "x".join(str(d.dim_value) for d in v.type.tensor_type.shape.dim)
          for v in list(model.graph.value_info) + list(model.graph.output)}
wrong = ["%s: %s, not %s" % (n, ours[n], theirs[n]) for n in ours if n in theirs and ours[n] != theirs[n]]
compared = [n for n in ours if n in theirs]
if wrong or len(compared) < 5:
    print("#", wrong, len(compared), "compared")
    sys.exit(1)
PYTHON
        echo "ok $number - $name passes the ONNX checker"
    else
        echo "not ok $number - $name passes the ONNX checker"
    fi
    rm -f "$folder/model.onnx"
done
number=$((number + 1))
if "$tool" zoo tiny-resnet "$folder/a" 7 && "$tool" zoo tiny-resnet "$folder/b" 7 &&
    "$tool" zoo tiny-resnet "$folder/c" 8 && cmp -s "$folder/a" "$folder/b" && ! cmp -s "$folder/a" "$folder/c"; then
    echo "ok $number - the same seed gives the same bytes, another seed others"
else
    echo "not ok $number - the same seed gives the same bytes, another seed others"
fi
