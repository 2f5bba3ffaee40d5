#!/usr/bin/env bash
# What a GPU makes of the project, in less than 8 minutes: the tests that need one, the reference loop beside ours, and the
# default job from nothing. In the project's environment, on a machine that has nothing else to do:
#
#     benchmarks/gpu.sh            # writes tables to benchmarks/results/, in the folder of the GPU
#     benchmarks/gpu.sh --quick    # small, to see that it works, also without a GPU; writes nothing
set -euo pipefail
cd "$(dirname "$0")/.."

case "$*" in
    "") size="--images 54000 --rounds 3 --device cuda" ;; # about an epoch, for a training begins slowly
    --quick) size=--quick ;;
    *) echo "usage: $0 [--quick]" >&2; exit 2 ;;
esac
latentlab repro download
python -m pytest --quiet --numprocesses 0 tests/training -k cuda
# shellcheck disable=SC2086
latentlab bench loop $size --variant cae_baseline --variant mlp_8 --variant conv_bn_64

# without this service of the driver, the stages that run at the same time take turns on the GPU
if [ "$size" != --quick ] && command -v nvidia-cuda-mps-control > /dev/null; then
    CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d)
    export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY=$CUDA_MPS_PIPE_DIRECTORY
    nvidia-cuda-mps-control -d
    trap 'echo quit | nvidia-cuda-mps-control; rm -rf "$CUDA_MPS_PIPE_DIRECTORY"' EXIT
fi
# shellcheck disable=SC2086
latentlab bench repro $size
