# Read by the scripts beside it: this node's settings, and its FreeSWITCH.
# shellcheck shell=sh

conf=${FREESWITCH_CONF:-/etc/freeswitch}

fail() {
	echo "$1" >&2
	exit 1
}

# A setting of node.xml.
setting() {
	[ -r "$conf/node.xml" ] || fail "$conf/node.xml cannot be read."
	sed -n "s|^ *<X-PRE-PROCESS cmd=\"set\" data=\"$1=\([^\"]*\)\"/>\$|\1|p" "$conf/node.xml" | tail -n 1
}

# One command of FreeSWITCH's. fs_cli wants an address: `localhost` may be ::1, where nothing listens. The password stands in its arguments,
# as it does in whatever else uses fs_cli: only root and FreeSWITCH have accounts on a node.
cli() {
	timeout 5 fs_cli -H 127.0.0.1 -P "$(setting event_socket_port)" -p "$(setting event_socket_password)" -x "$1"
}
