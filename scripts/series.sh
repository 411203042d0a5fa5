# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What tree, refresh, bisect and series-check share about patches/.
# Source it after lib.sh.

# The patches in their order, relative to patches/.
series_list()
{
	[ ! -e "$SCOME_PATCHES/series" ] ||
		sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' -e 's/[[:space:]]*$//' \
			"$SCOME_PATCHES/series"
}

# A name for the base version $1 and everything that patches/ says.
patches_sum()
{
	local p

	{
		printf '%s\n' "$1"
		series_list
		for p in $(series_list); do
			cat "$SCOME_PATCHES/$p" ||
				die "patches/series names $p, which is not there" "'make refresh'"
		done
	} | sha256sum | cut -d' ' -f1
}

# explain_failure PATCH ERRORS: which hunk of which file does not apply.
explain_failure()
{
	local file line nth total

	file=$(sed -n 's/^error: patch failed: \(.*\):[0-9]*$/\1/p' "$2" | head -n 1)
	line=$(sed -n 's/^error: patch failed: .*:\([0-9]*\)$/\1/p' "$2" | head -n 1)
	if [ -z "$file" ]; then
		sed -n 's/^error: //p' "$2" | head -n 1
		return 0
	fi
	read -r nth total < <(awk -v file="$file" -v line="$line" '
		/^diff --git / { here = 0 }
		/^--- a\// { here = (substr($0, 7) == file) }
		here && /^@@ -/ {
			n++
			split($2, a, ",")
			if (-a[1] == line && !nth)
				nth = n
		}
		END { print nth + 0, n + 0 }' "$1")
	if [ "$nth" -gt 0 ]; then
		printf 'hunk %d of %d of %s does not apply: %s\n' "$nth" "$total" "$file" \
			"$(awk -v file="$file" -v nth="$nth" '
				/^diff --git / { here = 0 }
				/^--- a\// { here = (substr($0, 7) == file) }
				here && /^@@ -/ { if (++n == nth) { print; exit } }' "$1")"
	else
		printf 'a hunk of %s near line %s does not apply\n' "$file" "$line"
	fi
}

# apply_series REPOSITORY COMMIT WORKDIR: apply the series without fuzz on top of
# COMMIT, without touching a work tree, and print the last commit.  The same
# patches on the same commit give the same commits.
apply_series()
{
	local repo=$1 head=$2 work=$3 p id n=0

	export GIT_INDEX_FILE=$work/series.index
	rm -f "$GIT_INDEX_FILE"
	git -C "$repo" read-tree "$head"
	for p in $(series_list); do
		[ -e "$SCOME_PATCHES/$p" ] ||
			die "patches/series names $p, which is not there" "'make refresh'"
		git -C "$repo" mailinfo --encoding=UTF-8 "$work/msg" "$work/diff" \
			<"$SCOME_PATCHES/$p" >"$work/info"
		git -C "$repo" apply --cached --whitespace=nowarn "$work/diff" 2>"$work/err" ||
			die "the patch $p does not apply: $(explain_failure "$work/diff" "$work/err")" \
			    "rebase the series on this base in build/linux, then 'make refresh'"
		id=$(git -C "$repo" write-tree)
		field()
		{
			sed -n "s/^$1: //p" "$work/info"
		}
		[ -n "$(field Author)" ] || die "the patch $p has no 'From:' line"
		head=$({
			field Subject
			echo
			cat "$work/msg"
		} | git stripspace |
			GIT_AUTHOR_NAME=$(field Author) GIT_AUTHOR_EMAIL=$(field Email) \
			GIT_AUTHOR_DATE=$(field Date) \
			GIT_COMMITTER_NAME=$(field Author) GIT_COMMITTER_EMAIL=$(field Email) \
			GIT_COMMITTER_DATE=$(field Date) \
			git -C "$repo" commit-tree "$id" -p "$head")
		n=$((n + 1))
	done
	unset GIT_INDEX_FILE
	printf '%s\n' "$head"
}
