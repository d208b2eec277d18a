/* etsi014_certs.h - certificates for tests, made anew in each run */
#ifndef ETSI014_CERTS_H
#define ETSI014_CERTS_H

/* certs_make - write into dir: ca.pem, rogue-ca.pem, and NAME.pem and NAME.key of kme, expired, other-host,
 * rogue (by the rogue CA), sae, rogue-sae, sae-b, sae-b2, sae-b-short, rogue-sae-b, expired-sae-b (of SAE_B),
 * sae-c, and others;  sae-locked.key: that of sae with a passphrase.   ret: 0, or -1 */
int certs_make(const char *dir);

#endif
