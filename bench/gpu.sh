#!/bin/sh
# Everything that needs a GPU, in minutes: bench/gpu.sh DIR
# DIR holds photographs that nothing was trained on. Measures with torch, and with TensorRT where it can be built here;
# what cannot be measured says so in the tables. Writes bench/engines-gpu.json and docs/engines.md.
set -eu
cd "$(dirname "$0")/.."
images=${1:?usage: bench/gpu.sh DIR}
results=bench/engines-gpu.json
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f "$results"

# TensorRT, honestly: build with throw-away keys; a refusal is a result too. Parity and speed then take what was built.
export FTF_HOME="$work/home" FTF_ENGINES="$work/engines"
head -c 24 /dev/urandom | base64 >"$work/passphrase"
tried=""
if ftf key new bench --role examiner --passphrase-file "$work/passphrase"; then
    for flavour in tensorrt tensorrt-rtx; do
        for precision in fp32 fp16; do
            if ftf engine build --flavour "$flavour" --precision "$precision" --max-batch 256 \
                --passphrase-file "$work/passphrase" 2>"$work/said"; then
                tried="$tried --tried $flavour:$precision=built"
            else
                tail -n 1 "$work/said" | cut -c 1-200 >"$work/$flavour-$precision.refusal"
                tried="$tried --tried $flavour:$precision=@$work/$flavour-$precision.refusal"
            fi
        done
    done
fi
# Exit code 5 says that an engine does not agree: the table shows which, and the rest is still worth measuring.
ftf engine parity --images "$images" --work "$work/tagged" --out "$results" \
    --record --passphrase-file "$work/passphrase" || true
ftf engine bench --images "$images" --rounds 20 --out "$results" || true
# shellcheck disable=SC2086 -- one word an option is what is wanted
python bench/gpu_engines.py --images "$images" --out "$results" --plot docs/roofline-gpu.svg $tried
python bench/render_engines.py
