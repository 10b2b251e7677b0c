# Completion of s2clab for bash: source <(s2clab completion bash)
_s2clab() {
	local cur=${COMP_WORDS[COMP_CWORD]} word before="" i
	local -a typed=()
	for ((i = 1; i < COMP_CWORD; i++)); do # bash takes --lab=NAME for three words
		word=${COMP_WORDS[i]}
		if [[ ${#typed[@]} -gt 0 && ($word == = || $before == =) ]]; then
			typed[${#typed[@]}-1]+=$word
		else
			typed+=("$word")
		fi
		before=$word
	done
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		COMPREPLY+=("$word")
	done < <("${COMP_WORDS[0]}" complete "${typed[@]}" "$cur" 2>/dev/null)
	if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}
complete -o default -F _s2clab s2clab
