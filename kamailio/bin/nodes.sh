# Read by the scripts beside it: what the running proxy knows of its nodes.
# shellcheck shell=sh

ctl=${KAMAILIO_CTL:-unix:/run/kamailio/kamailio_ctl}

fail() {
	echo "$1" >&2
	exit 1
}

# One command of kamcmd, which says "error: …" and yet ends with 0 where the proxy refuses.
rpc() {
	answer=$(kamcmd -s "$ctl" "$@") || fail "No answer from the proxy at $ctl."
	case $answer in
	error:*) fail "$* … $answer" ;;
	esac
	printf '%s\n' "$answer"
}

# A line for each node: name, address, flags, calls, attributes. Flags: A active, T one ping missed, I down, D drained; P is pinged.
nodes() {
	rpc dispatcher.list | awk '
		$1 == "URI:" { uri = $2 }
		$1 == "FLAGS:" { flags = $2 }
		$1 == "BODY:" { body = $2 }
		$1 == "DUID:" { name = $2 }
		$1 == "DLGLOAD:" { print name, uri, flags, $2, body }'
}

# The field of a node, "" if there is no such node.
field_of() {
	nodes | awk -v name="$1" -v field="$2" '$1 == name { print $field }'
}

# Of nodes.list.
# shellcheck disable=SC2034
group=1
