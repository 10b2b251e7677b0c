# Completion of s2clab for fish: s2clab completion fish | source
function __s2clab_complete
	set -l typed (commandline -opc)
	set -l last (commandline -ct)
	set -l found ($typed[1] complete $typed[2..-1] $last 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path $last
	end
end
complete -c s2clab -f -a '(__s2clab_complete)'
