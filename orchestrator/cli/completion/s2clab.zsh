#compdef s2clab
# Completion of s2clab for zsh: source <(s2clab completion zsh)
_s2clab() {
	local -a found keys
	local line word what
	while IFS= read -r line; do
		word=${line%%$'\t'*} what=${line#*$'\t'}
		if [[ $word == *= ]]; then
			keys+=("${word//:/\\:}:$what")
		else
			found+=("${word//:/\\:}:$what")
		fi
	done < <("${words[1]}" complete "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null)
	if (( $#found + $#keys == 0 )); then
		_files
		return
	fi
	if (( $#found )); then
		_describe s2clab found
	fi
	if (( $#keys )); then
		_describe s2clab keys -S ''
	fi
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
	_s2clab "$@"
else
	compdef _s2clab s2clab
fi
