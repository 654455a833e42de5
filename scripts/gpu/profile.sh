#!/bin/sh
# Where an iteration's time goes on a card: launches, bytes over the bus and the time of each kernel by rcaffe's own clocks; and by
# NVIDIA's tools where they are installed (nsys, ncu). About three minutes.
#
#   scripts/gpu/profile.sh path/to/rcaffe [net of models/, cifar10_full if not given] [folder for reports, profiles/ if not given]
set -eu
[ $# -ge 1 ] || { echo "usage: $0 path/to/rcaffe [net] [folder]" >&2; exit 2; }
program=$(realpath "$1")
net=${2:-cifar10_full}
mkdir -p "${3:-profiles}"
reports=$(realpath "${3:-profiles}")
iterations=${ITERATIONS:-50}
cd "$(dirname "$0")/../.."

case $net in
    cifar10*|resnet20) data='synthetic:shapes/train" batch_size: 100 } transform_param { mean_value: 128' ;;
    *) data= ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The net's own file with the built-in data in place of the data base, where that has the right shape; other nets need theirs.
python3 - "$net" "$data" >"$folder/net.prototxt" <<'PYTHON'
import re, sys
net, data = sys.argv[1:]
head, *layers = re.split(r"(?m)^(?=layer\s*\{)", open(f"models/{net}.prototxt").read())
if data:
    layers = [layer for layer in layers if not re.search(r'type:\s*"Data"', layer)]
    head += f'layer {{ name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "{data} }} }}\n'
else:
    shape = {"alexnet": (256, 3, 227, 227), "caffenet": (256, 3, 227, 227), "googlenet": (128, 3, 224, 224), "lenet": (64, 1, 28, 28)}.get(net)
    if shape:
        layers = [layer for layer in layers if not re.search(r'type:\s*"Data"', layer)]
        dims = " ".join(f"dim: {dim}" for dim in shape)
        head += ('layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param { shape { %s } shape { dim: %d } '
                 "data_filler { value: 0.5 } data_filler { value: 1 } } }\n" % (dims, shape[0]))
print(head + "".join(layers))
PYTHON
cat >"$folder/solver.prototxt" <<SOLVER
net: "$folder/net.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
max_iter: $((4 * iterations)) display: $iterations snapshot_after_train: false
SOLVER

echo "== rcaffe's clocks and counters"
"$program" time --solver "$folder/solver.prototxt" --gpu 0 --iterations "$iterations" 2>&1 | tee "$reports/$net.time.txt" |
    sed -nE '/Whole iterations|Kernels of an iteration/,$p'

if command -v nsys >/dev/null; then
    echo "== nsys"
    nsys profile --force-overwrite true --cuda-graph-trace=node --trace=cuda --output "$reports/$net" \
        "$program" train --solver "$folder/solver.prototxt" --gpu 0 >"$reports/$net.nsys.log" 2>&1 &&
        nsys stats --report cuda_gpu_kern_sum,cuda_gpu_mem_size_sum,cuda_api_sum "$reports/$net.nsys-rep" | tee "$reports/$net.nsys.txt" ||
        tail -n 5 "$reports/$net.nsys.log"
fi
if command -v ncu >/dev/null; then
    echo "== ncu"
    # The iteration before it is recorded.
    ncu --clock-control none --set basic --launch-count 150 "$program" train --solver "$folder/solver.prototxt" --gpu 0 \
        >"$reports/$net.ncu.txt" 2>&1 || true
    grep -E "^  [a-z_]+ \(|Duration|Compute \(SM\) Throughput|Memory Throughput|ERR" "$reports/$net.ncu.txt" | head -n 200
fi
echo "reports are in $reports"
