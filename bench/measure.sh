#!/bin/sh
# Every table of a model's results file, from one folder of photographs: bench/measure.sh DIR [RESULTS.json]
# About two hours for 100 photographs on two idle cores, 40 minutes of them for false positives. Tagged pictures, and
# what was read of untagged ones, are kept in WORK, if it is set, and a stopped run then goes on. The folder must hold
# nothing that was trained or tuned on.
set -eu
images=${1:?usage: bench/measure.sh DIR [RESULTS.json]}
results=${2:-engines/ftf-1/bench.json}
work=${WORK:-$(mktemp -d)}
ftf bench robustness --images "$images" --work "$work" --out "$results"
ftf bench quality --images "$images" --work "$work" --out "$results"
ftf bench survival --images "$images" --work "$work" --out "$results"
ftf bench beside --images "$images" --work "$work" --out "$results"
ftf bench search --images "$images" --work "$work" --out "$results"
ftf bench attackers --images "$images" --out "$results"
ftf bench verdicts --images "$images" --out "$results"
ftf bench false-positives --images "$images" --work "$work" --out "$results"
ftf bench scan --images "$images" --out "$results"
if [ -z "${WORK:-}" ]; then rm -r "$work"; fi
