#!/bin/sh
# Each tests/negative/*.c breaks one rule of the lazy section. Its first line is
#   /* expect: TEXT */
# and clang must refuse it with TEXT; without the analysis it must compile, so that it fails for that
# reason and no other.
set -eu

n=0
for f in tests/negative/*.c; do
	want=$(sed -n '1s|^/\* expect: \(.*\) \*/$|\1|p' "$f")
	if [ -z "$want" ]; then
		echo "$f: its first line does not say what to expect" >&2
		exit 1
	fi
	# shellcheck disable=SC2086 # lists of words
	if ! $CLANG $TSA_FLAGS "$f"; then
		echo "$f: does not compile even without the analysis" >&2
		exit 1
	fi
	# shellcheck disable=SC2086
	if said=$($CLANG $TSA_FLAGS -Wthread-safety "$f" 2>&1); then
		echo "$f: compiles, though it breaks the rule" >&2
		exit 1
	fi
	case $said in
	*"$want"*) ;;
	*)
		printf '%s: fails, but not with "%s":\n%s\n' "$f" "$want" "$said" >&2
		exit 1
		;;
	esac
	n=$((n + 1))
done
[ "$n" -ge 3 ] || { echo "negative samples: only $n found" >&2; exit 1; }
echo "negative samples: $n refused"
