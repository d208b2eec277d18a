#!/bin/bash
# kme_tls_test.sh - rekey-kme as a process: mutual TLS with curl, faults, crashes, logs.  Loopback only.
kme=${top_builddir:-$PWD}/contrib/kme/rekey-kme
make_certs=${top_srcdir:-$PWD}/contrib/kme/make-certs
count=0 failed=0
pids=()

for tool in curl openssl; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
dir=$(mktemp -d) || exit 1
trap 'for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
umask 077

ok() { # STATUS NAME [REASON]
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        failed=1
        echo "not ok $count - $2"
        echo "#   got: ${3-code=$code body=$body}"
    fi
}

check() { # NAME COMMAND...
    local name=$1
    shift
    "$@"
    ok $? "$name"
}

# start NAME FILE: run it, wait until it listens; its ports in port[KME], its pid in pid
declare -A port
start() {
    local line word
    mkfifo "$1.ready" && exec 9<>"$1.ready"
    "$kme" --config "$2" --ready-fd 3 3>"$1.ready" 2>>"$1.log" 9<&- &
    pid=$!
    pids+=("$pid")
    read -r -t 60 line <&9
    exec 9<&-
    rm -f "$1.ready"
    for word in ${line#ready}; do
        port[${word%%=*}]=${word##*:}
    done
    [ "${line%% *}" = ready ]
}

# ask SAE KME PATH [curl option]...: status in rc, HTTP code in code, body in body
ask() {
    local sae=$1 at=$2 path=$3
    shift 3
    code=$(curl -sS --max-time 60 --cacert pki/ca.crt --cert "pki/$sae.crt" --key "pki/$sae.key" -o body -w '%{http_code}' \
        "$@" "https://127.0.0.1:${port[$at]}/api/v1/keys/$path" 2>curl.err)
    rc=$?
    body=$(cat body 2>/dev/null)
    rm -f body
}
got() { # CODE [PATTERN]
    [ "$code" = "$1" ] && [[ $body == ${2-*} ]]
}
take() { # id and key of the first key in body
    id='' key=''
    [[ $body =~ \"key_ID\":\"([^\"]*)\",\"key\":\"([^\"]*)\" ]] && id=${BASH_REMATCH[1]} key=${BASH_REMATCH[2]}
}

"$make_certs" --kme kme-a --kme kme-b --sae SAE_A --sae SAE_B --sae SAE_C --sae SAE_X pki >/dev/null &&
    "$make_certs" --sae SAE_A other >/dev/null || { echo "Bail out! make-certs failed"; exit 1; }
# an SAE ID that has to be encoded in a URL, and one with two names
printf '%s\n' '[req]' 'distinguished_name=dn' 'prompt=no' '[dn]' 'CN=SAE E/5' '[two]' '0.CN=SAE_A' '1.CN=SAE_C' >odd.cnf
openssl req -config odd.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -CA pki/ca.crt -CAkey pki/ca.key \
    -keyout pki/odd.key -out pki/odd.crt 2>/dev/null
sed -i 's/=dn/=two/' odd.cnf
openssl req -config odd.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -CA pki/ca.crt -CAkey pki/ca.key \
    -keyout pki/two.key -out pki/two.crt 2>/dev/null

cat >pair.yaml <<'END'
kmes:
  - id: kme-a
    listen: "127.0.0.1:0"
    cert: pki/kme-a.crt
    key: pki/kme-a.key
    ca: pki/ca.crt
    saes: [SAE_A, "SAE E/5"]
    peers: [{ kme: kme-b, saes: [SAE_B, SAE_C] }]
    pool: { keys: 100, refill: 0 }
    fault-file: a.fault
  - id: kme-b
    listen: "127.0.0.1:0"
    cert: pki/kme-b.crt
    key: pki/kme-b.key
    ca: pki/ca.crt
    saes: [SAE_B, SAE_C]
    peers: [{ kme: kme-a, saes: [SAE_A, "SAE E/5"] }]
END
start pair pair.yaml
ok $? "a pair in one process says that it is ready" "$(cat pair.log)"
pair=$pid

ask SAE_A kme-a SAE_B/status --tlsv1.3 -D head
check "status by TLS 1.3" got 200 '*"stored_key_count":100,*'
grep -qi '^Content-Type: application/json' head && grep -qi '^Cache-Control: no-store' head
ok $? "answers are JSON that is not to be stored"
ask SAE_A kme-a SAE_B/status --tlsv1.2 --tls-max 1.2
check "status by TLS 1.2" got 200
ask SAE_A kme-a SAE_B/status --tls-max 1.1 --tlsv1.0 --ciphers DEFAULT@SECLEVEL=0
check "TLS 1.1 is refused" [ $rc -ne 0 -a "$code" = 000 ]
grep -q 'ev=tls res=refused .*version' pair.log
ok $? "the log says that the version was refused" "$(tail -2 pair.log)"

code=$(curl -sS --max-time 60 --cacert pki/ca.crt -o body -w '%{http_code}' \
    "https://127.0.0.1:${port[kme-a]}/api/v1/keys/SAE_B/status" 2>curl.err)
ok $((code != 000)) "without a client certificate there is no answer"
grep -q 'ev=tls res=refused by=kme alert="certificate required"' pair.log
ok $? "the log says that a certificate is required" "$(tail -2 pair.log)"
code=$(curl -sS --max-time 60 --cacert pki/ca.crt --cert other/SAE_A.crt --key other/SAE_A.key -o body -w '%{http_code}' \
    "https://127.0.0.1:${port[kme-a]}/api/v1/keys/SAE_B/status" 2>curl.err)
ok $((code != 000)) "a client certificate of another CA gets no answer"
code=$(curl -sS --max-time 60 --cacert pki/ca.crt --cert pki/kme-b.crt --key pki/kme-b.key -o body -w '%{http_code}' \
    "https://127.0.0.1:${port[kme-a]}/api/v1/keys/SAE_B/status" 2>curl.err)
ok $((code != 000)) "a server certificate does not do for a client"
code=$(curl -sS --max-time 60 --cacert other/ca.crt --cert pki/SAE_A.crt --key pki/SAE_A.key -o body -w '%{http_code}' \
    "https://127.0.0.1:${port[kme-a]}/api/v1/keys/SAE_B/status" 2>curl.err)
ok $((code != 000)) "a client that trusts another CA refuses the KME"
code=$(curl -sS --max-time 60 --cacert pki/ca.crt --cert pki/SAE_A.crt --key pki/SAE_A.key -o body -w '%{http_code}' \
    --connect-to "kme-a:443:127.0.0.1:${port[kme-a]}" https://kme-a/api/v1/keys/SAE_B/status 2>curl.err)
ok $((code != 200)) "the KME's certificate names its ID"
ask SAE_X kme-a SAE_B/status
check "an SAE that the KME does not serve: 401" got 401 ''
ask two kme-a SAE_B/status
check "a certificate with two names is none: 401" got 401 ''

ask SAE_A kme-a 'SAE_B/enc_keys?number=2&size=512'
check "enc_keys by GET" got 200 '{"keys":\[{"key_ID":"*'
take
ask SAE_B kme-b "SAE_A/dec_keys?key_ID=$id"
check "dec_keys by GET gives the same key" got 200 "*\"key_ID\":\"$id\",\"key\":\"$key\"}\]}"
ask SAE_B kme-b "SAE_A/dec_keys?key_ID=$id"
check "a fetched key is gone" got 400 '{"message":"one or more keys specified are not found on KME"*'
ask SAE_A kme-a SAE_B/enc_keys -d '{"number":1,"size":128}'
check "enc_keys by POST" got 200
take
check "a key of 128 bits is 24 characters" [ ${#key} -eq 24 ]
ask SAE_C kme-b SAE_A/dec_keys -d "{\"key_IDs\":[{\"key_ID\":\"$id\"}]}"
check "another slave: 401 without a body" got 401 ''
ask SAE_B kme-b SAE_A/dec_keys -d "{\"key_IDs\":[{\"key_ID\":\"${id^^}\"}]}"
check "dec_keys by POST; upper case is the same UUID" got 200 "*\"key\":\"$key\"*"
ask odd kme-a SAE_B/enc_keys
take
ask SAE_B kme-b "SAE%20E%2F5/dec_keys?key_ID=$id"
check "SAE IDs are URL-decoded" got 200 "*\"key\":\"$key\"*"

ask SAE_A kme-a SAE_B/enc_keys -d '{"size":100}'
check "a size that is no multiple of 8: 400" got 400 '{"message":"size shall be a multiple of 8"}'
ask SAE_A kme-a SAE_B/enc_keys -d '{"size":'
check "malformed JSON: 400" got 400 '{"message":"malformed JSON"*'
ask SAE_A kme-a SAE_B/enc_keys -H 'Transfer-Encoding: chunked' -d '{"number":2}'
check "a chunked body" got 200
printf '%70000s' ' ' >blank
ask SAE_A kme-a SAE_B/enc_keys -H Expect: --data-binary @blank
check "a body of 70,000 bytes: 413" got 413
ask SAE_A kme-a SAE_B/enc_keys -X DELETE -D head
check "another method: 405" got 405
grep -qi '^Allow: GET, POST' head
ok $? "405 says what is allowed"
ask SAE_A kme-a ../../../../favicon.ico --path-as-is
check "another path: 404" got 404 '{"message":*'
ask SAE_A kme-a 'SAE_B/enc_keys?number=128'
check "an empty pool: 503" got 503 '{"message":"not enough keys are stored"}'

curl -sS --max-time 60 --cacert pki/ca.crt --cert pki/SAE_A.crt --key pki/SAE_A.key -o body -o body -o body \
    -w '%{num_connects} ' "https://127.0.0.1:${port[kme-a]}/api/v1/keys/SAE_{B,C,X}/status" >conns 2>curl.err
body=$(cat conns)
check "connections stay open between requests" [ "$body" = "1 0 0 " ]
s_client() {
    printf 'GET /api/v1/keys/SAE_B/status HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n' |
        timeout 60 openssl s_client -ign_eof -connect "127.0.0.1:${port[kme-a]}" -CAfile pki/ca.crt -cert pki/SAE_A.crt \
            -key pki/SAE_A.key "$@" 2>&1
}
for v in tls1_2 tls1_3; do
    s_client -$v -sess_out session >/dev/null
    body=$(s_client -$v -sess_in session | tr -d '\r')
    [[ $body == *Reused* && $body == *'HTTP/1.1 200'* ]]
    ok $? "a session is resumed, and still has its SAE ($v)"
done

# Faults, switched while it runs.
fault() { printf '%s\n' "$1" >a.fault; }
fault html
ask SAE_A kme-a SAE_B/status
check "fault html: 200 with a page" got 200 '<!DOCTYPE html>*'
fault truncated
ask SAE_A kme-a SAE_B/enc_keys
[ "$code" = 200 ] && [[ $body == '{"keys":'* && $body != *'}' ]]
ok $? "fault truncated: half of the JSON"
fault drop
ask SAE_A kme-a SAE_B/enc_keys
check "fault drop: no answer" [ "$code" = 000 -a $rc -ne 0 ]
fault slow:200ms
ask SAE_A kme-a SAE_B/status -w '%{http_code} %{time_starttransfer}'
awk -v t="${code#* }" 'BEGIN { exit !(t >= 0.2) }' && [ "${code% *}" = 200 ]
ok $? "fault slow: the answer is held"
fault slow:600s
ask SAE_A kme-a SAE_B/status --max-time 1
check "a client may give up on a slow answer" [ $rc -ne 0 ]
fault refuse-enc
ask SAE_A kme-a SAE_B/enc_keys
check "fault refuse-enc: 503" got 503
ask SAE_A kme-a SAE_B/status
check "fault refuse-enc: status is not refused" got 200
fault short-key
ask SAE_A kme-a SAE_B/enc_keys
take
check "fault short-key: half a key" [ ${#key} -eq 24 ]
fault shortkey
ask SAE_A kme-a SAE_B/status
check "a misspelt fault is not taken for none" got 500 '*is not known*'
rm a.fault
ask SAE_A kme-a SAE_B/status
check "without the file all is well again" got 200

fault slow:600s
ask SAE_A kme-a SAE_B/enc_keys --max-time 1
kill -TERM "$pair"
wait "$pair"
rc=$?
ok $rc "SIGTERM ends it, with status 0, also when answers are held" "status $rc: $(tail -3 pair.log)"
rm a.fault

# Two processes that share a file and nothing else; each is killed between enc_keys and dec_keys.
half() { # ID PEER SAE PEER-SAE
    printf 'kmes:\n  - { id: %s, listen: "127.0.0.1:0", cert: pki/%s.crt, key: pki/%s.key, ca: pki/ca.crt, saes: [%s],\n' \
        "$1" "$1" "$1" "$3" >"$1.yaml"
    printf '      peers: [{ kme: %s, saes: [%s], pair-secret: pki/pair.secret }] }\n' "$2" "$4" >>"$1.yaml"
}
half kme-a kme-b SAE_A SAE_B
half kme-b kme-a SAE_B SAE_A
start a kme-a.yaml && a=$pid && start b kme-b.yaml && b=$pid
ok $? "two processes form a pair" "$(cat a.log b.log)"
ask SAE_A kme-a SAE_B/enc_keys -d '{"number":2}'
keys=$body
take
kill -9 "$a" "$b"
{ wait "$a" "$b"; } 2>/dev/null
start b kme-b.yaml && b=$pid
ask SAE_B kme-b "SAE_A/dec_keys?key_ID=$id"
check "after kill -9 of both, the slave's KME has the key" got 200 "*\"key\":\"$key\"*"
ask SAE_B kme-b "SAE_A/dec_keys?key_ID=$id"
check "and gives it once" got 400
start a kme-a.yaml && a=$pid
ask SAE_B kme-b SAE_A/enc_keys
key1=$key
take
ask SAE_A kme-a "SAE_B/dec_keys?key_ID=$id"
check "the other way round, with a restarted KME" got 200 "*\"key\":\"$key\"*"
kill "$a" "$b"
wait "$a" && wait "$b"
ok $? "both end with status 0"

# No key in a log, as base64 or as hex.
hex=$(printf %s "$key" | openssl base64 -d -A | od -An -tx1 | tr -d ' \n')
cat ./*.log >all.log
[ -n "$hex" ] && [ -n "$key" ] && ! grep -qiF -e "$key" -e "$hex" -e "$key1" -e "$(cat pki/pair.secret)" all.log
ok $? "no key is in a log"
grep -qF "$id" all.log
ok $? "key IDs are in the log"
[[ $keys == *'"key"'*'"key"'* ]] && ! grep -q '"key' all.log
ok $? "no body is in a log"

# How it starts, and does not.
line=$(timeout 60 "$kme" --version) && [[ $line == "rekey-kme "[0-9]* ]]
ok $? "--version" "$line"
timeout 60 "$kme" --help | grep -q -- --config
ok $? "--help"
timeout 60 "$kme" 2>/dev/null
ok $(($? != 2)) "without --config: status 2"
timeout 60 "$kme" --config kme-a.yaml --ready-fd x 2>/dev/null
ok $(($? != 2)) "--ready-fd x: status 2"
chmod 644 pki/pair.secret
body=$(timeout 60 "$kme" --config kme-a.yaml 2>&1)
rc=$?
[ $rc -eq 1 ] && [[ $body == *'kme-a.yaml:3: pair-secret '*'chmod 600'* ]]
ok $? "a pair secret that others can read is refused"
chmod 600 pki/pair.secret
sed 's/kme-a.key/nothing.key/' kme-a.yaml >bad.yaml
body=$(timeout 60 "$kme" --config bad.yaml 2>&1)
rc=$?
[ $rc -eq 1 ] && [[ $body == *'nothing.key: '* ]]
ok $? "a missing TLS key is named"
sed 's/kme-a.crt/kme-b.crt/; s/kme-a.key/kme-b.key/' kme-a.yaml >mismatch.yaml
mkfifo out
exec 9<>out
"$kme" --config mismatch.yaml --stats stats >out 2>mismatch.log 9<&- &
pid=$!
pids+=("$pid")
read -r -t 60 line <&9
[[ $line =~ ^ready\ kme-a=127\.0\.0\.1:([0-9]+)$ ]]
ok $? "without --ready-fd, ready is said on stdout" "$line"
sed "s/:0\"/:${BASH_REMATCH[1]}\"/" kme-a.yaml >busy.yaml
grep -q 'ev=cert kme=kme-a res=mismatch cn=kme-b' mismatch.log
ok $? "a certificate that names another KME is told" "$(cat mismatch.log)"
body=$(timeout 60 "$kme" --config busy.yaml 2>&1)
rc=$?
[ $rc -eq 1 ] && [[ $body == *'cannot listen on 127.0.0.1:'*'in use'* ]]
ok $? "a port that is taken: status 1"
port[kme-a]=$(sed 's/.*0\.0\.1:\([0-9]*\)".*/\1/;t;d' busy.yaml)
ask SAE_A kme-a nobody/enc_keys -k
ask SAE_A kme-a nobody/status -k
kill -USR1 "$pid"
for ((i = 0; i < 600; i++)); do [ ! -e stats ] || break; sleep 0.05; done
body=$(cat stats)
[[ $body == '{"connections": 2, "status": 1, "enc_keys": 1, "dec_keys": 0, "other": 0, "refused": 2}' ]]
ok $? "SIGUSR1: --stats tells how often it was asked"
kill -INT "$pid"
wait "$pid"
ok $? "SIGINT ends it too"
echo "1..$count"
exit $failed
