# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The zoo's files pass ONNX's own checker, and our shapes equal ONNX's shape inference (where python3-onnx is there).
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

tool=$top_builddir/tests/model/model_tool
python=
for candidate in /usr/bin/python3 python3; do
    "$candidate" -c 'import onnx' 2>/dev/null && python=$candidate && break
done

passes_checker() { # NAME
    "$tool" zoo "$1" "$work/model.onnx" && "$tool" shapes "$work/model.onnx" >"$work/shapes" &&
        "$python" - "$work/model.onnx" "$work/shapes" <<'PYTHON'
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
    print(wrong, len(compared), "compared")
    sys.exit(1)
PYTHON
}

for name in $("$tool" list); do
    claim="$name passes the ONNX checker"
    if [ -z "$python" ]; then
        skip "$claim" "python3-onnx is not installed"
    elif [ "$name" = vgg16 ] || [ "$name" = alexnet ]; then
        skip "$claim" "its half gigabyte takes long, and it has no operators of its own"
    else
        check "$claim" passes_checker "$name"
    fi
    rm -f "$work/model.onnx"
done

seeds_decide() {
    "$tool" zoo tiny-resnet "$work/a" 7 && "$tool" zoo tiny-resnet "$work/b" 7 && "$tool" zoo tiny-resnet "$work/c" 8 &&
        cmp -s "$work/a" "$work/b" && ! cmp -s "$work/a" "$work/c"
}
check "the same seed gives the same bytes, another seed others" seeds_decide
done_testing
