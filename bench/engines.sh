#!/bin/sh
# How fast the processor reads, and whether every engine agrees: bench/engines.sh DIR [TRAINING_DIR]
# DIR holds photographs that nothing was trained on. With TRAINING_DIR, a folder of folders, the int8 reader is made
# anew as well, and shipped or taken out, which takes some minutes more; without it, eight minutes on two idle cores.
# Needs the extras train, speed and openvino, and a processor that computes in bf16. Writes bench/engines-cpu.json and
# docs.
set -eu
cd "$(dirname "$0")/.."
images=${1:?usage: bench/engines.sh DIR [TRAINING_DIR]}
results=bench/engines-cpu.json
work=${WORK:-$(mktemp -d)}
if [ -n "${2:-}" ]; then ftf engine quantise --images "$2" --work "$work" --out "$results"; fi
ftf engine parity --images "$images" --work "$work" --out "$results" --reads "${READS:-200}" \
    --engine onnx --engine torch:fp32 --engine openvino:fp32 --engine openvino:bf16 || status=$?
if [ "${status:-5}" -ne 5 ]; then exit "$status"; fi
ftf engine bench --engine onnx --engine torch:fp32 --engine openvino:fp32 --engine openvino:bf16 --images "$images" \
    --peers --rounds "${ROUNDS:-40}" --plot docs/roofline-cpu.svg --out "$results"
python bench/render_engines.py
if [ -z "${WORK:-}" ]; then rm -r "$work"; fi
# An engine that does not agree is in the table, and is told at the end.
exit "${status:-0}"
