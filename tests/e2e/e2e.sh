# e2e.sh: for end-to-end tests; read it with ". e2e.sh" after rig.sh, with e2e and build set.

# e2e_guest SECONDS SCRIPT ARG... - certificates on the host, then the script in a guest; its TAP is the test's
e2e_guest()
{
	[ "${REKEY_QUICK:-}" != 1 ] || rig_skip "a quick run (REKEY_QUICK=1) boots no guest"
	[ -x "$build/contrib/kme/rekey-kme" ] || rig_skip "rekey-kme was not built"
	[ -e "$build/run/plugins/linux-macsec.so" ] || rig_skip "the plugin linux-macsec was not built"
	rig_need "veth macsec" "$build/core/daemon/rekeyd"
	out=$(mktemp -d "${TMPDIR:-/tmp}/rekey-e2e.XXXXXX") || exit 1
	seconds=$1 script=$2
	shift 2
	python3 -B "$e2e/lab.py" "$out" || { echo "Bail out! no certificates"; exit 1; }
	"$rig/uml-run" -t "$seconds" -s "$out" -s "$build" -K "$rig_macsec" -- \
		python3 -B "$e2e/$script" "$out" "$build" "$@" 2> "$out/stderr"
	code=$?
	if [ $code != 0 ]; then
		echo "# the guest ended with $code; what it said, and the ends of the logs:"
		for f in "$out"/stderr "$out"/*.log; do echo "# ---- $f"; tail -n 30 "$f" | sed 's/^/# /'; done
		echo "Bail out! the guest ended with $code"
	fi
	[ -n "${REKEY_KEEP:-}" ] && echo "# kept: $out" || rm -rf "$out"
	exit $code
}
