#!/bin/sh
# Tests a card: what it is, then every op against the CPU, every golden case, and how fast the ops are. About a minute.
#
#   scripts/gpu/selftest.sh path/to/rcaffe [more flags of `rcaffe selftest`]
set -eu
[ $# -ge 1 ] || { echo "usage: $0 path/to/rcaffe [flags]" >&2; exit 2; }
program=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
"$program" devices
exec "$program" selftest --gpu 0 "$@"
