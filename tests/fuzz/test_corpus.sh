#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Each fuzzer over its corpus, what was found included, and over the rows of the tables: every
# property holds, and the oracles agree. Nothing is changed at random here.

cd "$(dirname "$0")/../.." || exit 1

number=0
echo "1..$(ls tests/fuzz/fuzz_*.c | wc -l)"
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	kind=${name#fuzz_}
	number=$((number + 1))
	if output=$("build/fuzz/$name" -runs=0 -artifact_prefix="build/fuzz/finding-$kind-" \
		"tests/fuzz/corpus/$kind" "build/fuzz/rows/$kind" 2>&1); then
		echo "ok $number - $kind: what the fuzzer checks holds for all of its corpus"
	else
		echo "$output" | sed 's/^/# /'
		echo "not ok $number - $kind: what the fuzzer checks holds for all of its corpus"
	fi
done
