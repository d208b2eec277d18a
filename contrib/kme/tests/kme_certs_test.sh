#!/bin/bash
# kme_certs_test.sh - make-certs: what it makes, and that it leaves alone what is there.
make_certs=${top_srcdir:-$PWD}/contrib/kme/make-certs
count=0 failed=0
command -v openssl >/dev/null || { echo "1..0 # SKIP openssl is not installed"; exit 0; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
umask 022

ok() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else failed=1; echo "not ok $count - $2"; echo "#   $out"; fi
}

out=$("$make_certs" pki 2>&1)
ok $? "makes a PKI"
out=$(cd pki && echo *)
[ "$out" = "SAE_A.crt SAE_A.key SAE_B.crt SAE_B.key ca.crt ca.key kme-a.crt kme-a.key kme-b.crt kme-b.key pair.secret" ]
ok $? "with two KMEs and two SAEs when no names are given"
out=$(stat -c %a pki/*.key pki/pair.secret | sort -u)
[ "$out" = 600 ]
ok $? "only the owner can read keys and the pair secret"
out=$(openssl verify -purpose sslserver -verify_hostname localhost -CAfile pki/ca.crt pki/kme-a.crt pki/kme-b.crt 2>&1) &&
    out=$(openssl verify -purpose sslserver -verify_ip 127.0.0.1 -CAfile pki/ca.crt pki/kme-a.crt 2>&1) &&
    out=$(openssl verify -purpose sslserver -verify_hostname kme-b -CAfile pki/ca.crt pki/kme-b.crt 2>&1)
ok $? "KMEs have server certificates for localhost, 127.0.0.1 and their ID"
out=$(openssl verify -purpose sslclient -CAfile pki/ca.crt pki/SAE_A.crt pki/SAE_B.crt 2>&1)
ok $? "SAEs have client certificates"
out=$(openssl verify -purpose sslserver -CAfile pki/ca.crt pki/SAE_A.crt 2>&1)
ok $(($? == 0)) "which do not do for a server"
out=$("$make_certs" --sae site-S --site S sites 2>&1) &&
    out=$(openssl verify -purpose sslserver -CAfile sites/ca.crt sites/site-S.crt 2>&1) &&
    out=$(openssl verify -purpose sslclient -CAfile sites/ca.crt sites/site-S.crt 2>&1)
ok $(($? == 0)) "a site's name that is an SAE's already is refused"
out=$("$make_certs" --sae T --site S both 2>&1) &&
    out=$(openssl verify -purpose sslserver -CAfile both/ca.crt both/site-S.crt 2>&1) &&
    out=$(openssl verify -purpose sslclient -CAfile both/ca.crt both/site-S.crt 2>&1) &&
    out=$(openssl x509 -noout -subject -in both/site-S.crt) && [[ $out == *"CN = S" || $out == *"CN=S" ]]
ok $? "a site's certificate is one for both, with the SAE ID"
out=$(openssl x509 -noout -subject -in pki/SAE_A.crt; openssl x509 -noout -subject -in pki/kme-b.crt)
[[ $out == *"CN = SAE_A"*"CN = kme-b"* || $out == *"CN=SAE_A"*"CN=kme-b"* ]]
ok $? "the common names are the IDs"
out=$(openssl x509 -noout -text -in pki/kme-a.crt)
[[ $out == *"NIST CURVE: P-256"* ]]
ok $? "keys are EC P-256"

before=$(cat pki/* | cksum)
out=$("$make_certs" pki 2>&1)
ok $(($? != 1)) "what is there is not overwritten"
[ "$before" = "$(cat pki/* | cksum)" ] && [[ $out == *"is there already"* ]]
ok $? "nor touched"
mkdir half && touch half/SAE_B.key
out=$("$make_certs" half 2>&1)
ok $(($? != 1)) "one file that is there is enough to refuse"
out=$(echo half/*)
[ "$out" = half/SAE_B.key ]
ok $? "and then nothing is made"

out=$("$make_certs" --kme Toulouse.1 --sae ALICE --dns kme.example --ip 192.0.2.1 --ip 2001:db8::1 --days 2 named 2>&1) &&
    out=$(cd named && echo *) && [ "$out" = "ALICE.crt ALICE.key Toulouse.1.crt Toulouse.1.key ca.crt ca.key pair.secret" ]
ok $? "names can be given"
out=$(openssl x509 -noout -text -in named/Toulouse.1.crt)
[[ $out == *"DNS:toulouse.1, DNS:localhost, IP Address:127.0.0.1, DNS:kme.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1"* ]]
ok $? "and more host names and addresses"
out=$(openssl x509 -noout -checkend 259200 -in named/ALICE.crt)
ok $(($? == 0)) "and a life in days"
out=$("$make_certs" --kme K1 --kme K2 --sae S --dates dated 2>&1) && out=$(cd dated && echo *) &&
    [ "$out" = "K1.crt K1.expired.crt K1.future.crt K1.key K2.crt K2.expired.crt K2.future.crt K2.key S.crt S.key ca.crt ca.key pair.secret" ]
ok $? "--dates makes certificates that are not valid now"
out=$(openssl verify -no_check_time -purpose sslserver -verify_hostname k1 -CAfile dated/ca.crt dated/K1.expired.crt \
    dated/K1.future.crt 2>&1)
ok $? "which are good but for that"
out=$(openssl verify -CAfile dated/ca.crt dated/K1.expired.crt 2>&1)
[[ $out == *"has expired"* ]]
ok $? "one has expired"
out=$(openssl verify -CAfile dated/ca.crt dated/K2.future.crt 2>&1)
[[ $out == *"not yet valid"* ]]
ok $? "the other is not valid yet"
out=$(openssl x509 -in dated/K2.crt -noout -pubkey; openssl x509 -in dated/K2.future.crt -noout -pubkey)
[ "$(echo "$out" | sort | uniq -c | awk '$1 % 2' | wc -l)" -eq 0 ]
ok $? "and both are for the same key"
for bad in "--kme a/b d" "--sae ../x d" "--days 0 d" "--dns a,b d" "--ip x d" "d e" "--kme" "--sae ca d" "--what d" ""; do
    # shellcheck disable=SC2086
    out=$("$make_certs" $bad 2>&1)
    ok $(($? != 2)) "refuses: make-certs $bad"
done
[ ! -e d ]
ok $? "and makes nothing"
echo "1..$count"
exit $failed
