# Read by the scripts beside it: what the running proxy knows of its nodes and gateways.
# shellcheck shell=sh

# Not on the path of everyone who may run these.
PATH=$PATH:/usr/sbin
ctl=${KAMAILIO_CTL:-unix:/run/kamailio/kamailio_ctl}

fail() {
	echo "$1" >&2
	exit 1
}

# One command of kamcmd, which says "error: …" and yet ends with 0 where the proxy refuses.
rpc() {
	answer=$(kamcmd -s "$ctl" "$@" 2>&1) || fail "No answer from the proxy at $ctl."
	case $answer in
	error:*) fail "$* … $answer" ;;
	esac
	printf '%s\n' "$answer"
}

# A line for each node (group 1) and gateway (2): group, name, address, flags, calls, attributes. Flags: A active, T one ping missed, I down, D drained;
# P is pinged.
nodes() {
	list=$(rpc dispatcher.list) || exit 1
	printf '%s\n' "$list" | awk '
		$1 == "ID:" { group = $2 }
		$1 == "URI:" { uri = $2 }
		$1 == "FLAGS:" { flags = $2 }
		$1 == "BODY:" { body = $2 }
		$1 == "DUID:" { name = $2 }
		$1 == "DLGLOAD:" { print group, name, uri, flags, $2, body }'
}

# Sets $calls and $group to those of a node or gateway; ends the script if there is none of this name.
find_node() {
	all=$(nodes) || exit 1
	calls=$(printf '%s\n' "$all" | awk -v name="$1" '$2 == name { print $5 }')
	# shellcheck disable=SC2034
	group=$(printf '%s\n' "$all" | awk -v name="$1" '$2 == name { print $1 }')
	[ -n "$calls" ] || fail "There is no node $1; there are: $(printf '%s\n' "$all" | awk '{ printf "%s ", $2 }')"
}
