# tree_secrets.awk - files that hold a private key or a certificate; prints them, and exits with 1 then
/^-----BEGIN ([A-Z0-9]+ )*(PRIVATE KEY|CERTIFICATE)-----/ { begin = FNR; what = $0 }
FNR == begin + 1 && begin && /^[A-Za-z0-9+\/=]+$/ && length($0) >= 32 { print FILENAME ":" begin ": " what; bad = 1 }
FNR == 1 { if (!/^-----BEGIN/) begin = 0 }
END { exit bad }
