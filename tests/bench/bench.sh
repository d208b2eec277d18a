# Measures rekeyd; see bench.py.  Run by "make bench".
command -v python3 >/dev/null || { echo "bench: python3 is not there: nothing is measured"; exit 0; }
exec python3 -B "$top_srcdir/tests/bench/bench.py"
