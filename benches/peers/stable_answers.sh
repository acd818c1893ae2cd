#!/bin/bash
# Searches SEARCHES times without options (seeds 0, 1, …), resumes each finished study five times, and counts those whose
# answer, best.json, stays the same: stable_answers.sh [SEARCHES [OPTION…]]; LANNER names the binary.
set -euo pipefail
lanner=${LANNER:-lanner} searches=${1:-20}
shift || true
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
same=0
for ((seed = 0; seed < searches; seed++)); do
    study=$folder/$seed
    "$lanner" search --seed "$seed" --out "$study" "$@" >"$folder/first" 2>/dev/null
    first=$(cat "$study/best.json")
    latencies=$("$lanner" study export "$study" --measurements --out "$folder/m.csv" && wc -l <"$folder/m.csv")
    kept=1
    for _ in 1 2 3 4 5; do
        "$lanner" search --resume --out "$study" >"$folder/again" 2>/dev/null
        [[ $(cat "$study/best.json") == "$first" ]] || kept=0
    done
    again=$("$lanner" study export "$study" --measurements --out "$folder/m.csv" && wc -l <"$folder/m.csv")
    [[ $again == "$latencies" ]] || kept=0
    same=$((same + kept))
done
echo "$same of $searches searches keep their answer after five --resume, without a new measurement"
