/* derived.h - secrets that anyone can compute who knows a name: digests of names
 *
 * Pure but for the host's SHA-256; runs in rekey-host.  Tools have been seen to make "secret" keys so, as
 * sha256("NAME:fallback:cak"): whoever reads the configuration has the key.
 */
#ifndef STATIC_DERIVED_H
#define STATIC_DERIVED_H

#include <rekey/plugin.h>

#include <stdbool.h>

/* static_is_derived - is the secret the digest of name, or of name with a well-known ending; whole, or its first half
 * in:   bytes[len], as written: raw, hex or base64;  name, NULL: none
 * ret:  true, also when there is no SHA-256 to tell.   thread: any.  blocks: never */
bool static_is_derived(const struct rk_host *host, const unsigned char *bytes, size_t len, const char *name);

#endif
