# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Completion of sluice(1) for bash: commands, options, the IDs of keys, ports, and sources.

# What a command lists, asked of the daemon at the socket that was named.
_sluice_list() {
	local i socket=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == --socket ]] && socket=(--socket "${COMP_WORDS[i + 1]}")
	done
	sluice "$@" "${socket[@]}" 2>/dev/null
}

# IDs of the keys that are not revoked.
_sluice_ids() {
	_sluice_list key ls | awk '$1 ~ /^key_/ && !/ revoked / { print $1 }'
}

_sluice_ports() {
	_sluice_list gate ls | awk '$1 ~ /^[0-9]/ { print $1 }'
}

_sluice_sources() {
	_sluice_list shed ls | awk '$1 ~ /^[0-9a-f]/ { print $1 }'
}

_sluice() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[2]} words='--json --socket --help'
	COMPREPLY=()

	case $previous in
	--socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--account | --label | --per-minute | --per-day | --expires | --drain | --seconds) return ;;
	esac

	if [[ $COMP_CWORD -eq 1 ]]; then
		words="status key gate shed reload help --version $words"
	elif [[ ${COMP_WORDS[1]} == status ]]; then
		words="--watch $words"
	elif [[ ${COMP_WORDS[1]} == gate && $COMP_CWORD -eq 2 ]]; then
		words='ls rm'
	elif [[ ${COMP_WORDS[1]} == gate && $verb == rm ]]; then
		words="--drain $words"
		[[ $current == -* ]] || words=$(_sluice_ports)
	elif [[ ${COMP_WORDS[1]} == shed && $COMP_CWORD -eq 2 ]]; then
		words='ls add rm'
	elif [[ ${COMP_WORDS[1]} == shed && $verb == add ]]; then
		words="--seconds $words"
	elif [[ ${COMP_WORDS[1]} == shed && $verb == rm ]]; then
		[[ $current == -* ]] || words=$(_sluice_sources)
	elif [[ ${COMP_WORDS[1]} == key && $COMP_CWORD -eq 2 ]]; then
		words='create ls show edit revoke'
	elif [[ ${COMP_WORDS[1]} == key ]]; then
		case $verb in
		create) words="--account --label --per-minute --per-day --expires $words" ;;
		ls) words="--account $words" ;;
		edit) words="--label --per-minute --per-day $words" ;;
		esac
		case $verb in
		show | edit | revoke)
			[[ $current == -* ]] || words=$(_sluice_ids)
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _sluice sluice
