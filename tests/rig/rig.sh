# rig.sh: for shell tests that need a kernel with MACsec; read it with ". rig.sh" after setting rig=DIR-OF-THIS-FILE.
# It ends a test that cannot run here with a TAP skip and its reason; it starts nothing by itself.

# rig_need MODULES PROGRAM... - skip the test unless a User-Mode Linux guest with these kernel modules starts here and
# the programs, which are to run in it, can: a guest's address space is too small for the address and thread sanitizers.
rig_need()
{
	rig_modules=$1
	shift
	for rig_program; do
		if LC_ALL=C grep -qa -e __asan_init -e __tsan_init "$rig_program"; then
			rig_skip "built with a sanitizer that User-Mode Linux has no room for"
		fi
	done
	# shellcheck disable=SC2086 # a list of words
	rig_why=$("$rig/uml-setup" --check $rig_modules) || rig_skip "$rig_why"
}

rig_skip()
{
	echo "1..0 # SKIP $*"
	exit 0
}

# What a guest needs for MACsec, all ciphers: for uml-run -K.
rig_macsec="veth macsec gcm ctr ghash-generic"
