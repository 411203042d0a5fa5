# shellcheck shell=bash
# shellcheck disable=SC2034 # the paths are for the scripts that source this file
# SPDX-License-Identifier: GPL-2.0
#
# Paths and functions that every script shares.  Source it, do not run it:
#
#	. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

SCOME_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
SCOME_BUILD=${SCOME_BUILD:-$SCOME_ROOT/build}
SCOME_CACHE=${SCOME_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/scome}
SCOME_CCACHE_SIZE=${SCOME_CCACHE_SIZE:-10G}
SCOME_JOBS=${SCOME_JOBS:-$(nproc)}
export SCOME_ROOT SCOME_BUILD SCOME_CACHE SCOME_CCACHE_SIZE SCOME_JOBS


SCOME_LINUX=$SCOME_BUILD/linux
SCOME_LOG=$SCOME_BUILD/log
SCOME_DEBS=$SCOME_CACHE/debs
SCOME_PATCHES=${SCOME_PATCHES:-$SCOME_ROOT/patches}

# say TEXT...: progress, on standard error.
say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die SENTENCE [WAY_OUT]: one clear sentence, what to do about it, and the end.
die()
{
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	[ -z "${2:-}" ] || printf '%s: try: %s\n' "${0##*/}" "$2" >&2
	exit 1
}

# usage_error SENTENCE: wrong use of a script.
usage_error()
{
	printf '%s: %s (%s --help tells more)\n' "${0##*/}" "$1" "$0" >&2
	exit 2
}

# need COMMAND PACKAGE: the command must be there.
need()
{
	command -v "$1" >/dev/null 2>&1 ||
		die "the command '$1' is missing" \
		    "'make deps' (it installs the package ${2:-$1})"
}

# need_space GIB [DIRECTORY]: that much room must be left below DIRECTORY.
need_space()
{
	local dir=${2:-$SCOME_BUILD} have

	mkdir -p "$dir"
	have=$(df -Pk -- "$dir" | awk 'NR == 2 { print int($4 / 1048576) }')
	[ "$have" -ge "$1" ] ||
		die "only $have GiB are free below $dir and $1 are needed" \
		    "make room, or set SCOME_BUILD and SCOME_CACHE to a larger disk"
}

# with_lock FILE COMMAND...: run COMMAND alone among those that take FILE.
with_lock()
{
	local lock=$1

	shift
	mkdir -p "$(dirname "$lock")"
	(
		flock -n 9 || {
			say "waiting for another run that holds $lock"
			flock 9
		}
		"$@" 9>&-
	) 9>"$lock"
}

# ccache_env: compile through ccache, so that a fresh clone is warm.
ccache_env()
{
	export CCACHE_DIR=$SCOME_CACHE/ccache
	export CCACHE_BASEDIR=$SCOME_BUILD
	export CCACHE_NOHASHDIR=1
	export CCACHE_MAXSIZE=$SCOME_CCACHE_SIZE
	export CCACHE_SLOPPINESS=time_macros
	mkdir -p "$CCACHE_DIR"
}
