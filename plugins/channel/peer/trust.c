/* trust.c - whose certificate is believed, in both directions.
 *
 * A peer is its SAE ID: the certificate must come from a CA of the option ca, and have that ID as CN or alternative
 * name.  The name of the host in the URL says only where it is.  Runs in watch and in tests; the hooks run in the
 * handshake.  Nothing here may relax verification.
 */
#include "peer.h"

#include "../../common/tls/probe.h"

#include <string.h>

const char not_of_the_peer[] = "the certificate is not that of the peer's SAE ID (neither CN nor alternative name)";

/* A peer that connects to us: which of them is it? */
void *
whose_certificate(void *hub, X509 *cert)
{
    struct remote *r = NULL;
    struct hub *h = hub;

    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; !r && i < h->n_remotes; i++)
        if (h->remotes[i].sae[0] && rkp_cert_names(cert, h->remotes[i].sae))
            r = &h->remotes[i];
    pthread_mutex_unlock(&h->lock);
    return r;
}

/* The peer that we connect to: is it the one? */
static int
verify_server(X509_STORE_CTX *ctx, void *arg)
{
    struct remote *r = arg;
    struct hub *h = r->hub;
    char sae[RK_SAE_MAX + 1];

    if (!rkp_trust_chain(ctx, &r->shake, r->probe))
        return 0;
    pthread_mutex_lock(&h->lock);
    strcpy(sae, r->sae);
    pthread_mutex_unlock(&h->lock);
    if (!sae[0] || !rkp_cert_names(X509_STORE_CTX_get0_cert(ctx), sae))
        return rkp_trust_not_named(ctx, &r->shake);
    if (!r->probe) { /* a test is not the loop */
        r->handshakes++;
        h->ends_new = true;
    }
    return 1;
}

static void
server_message(int sending, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
    struct remote *r = arg;
    const struct rkp_tls_message m = {sending, type, buf, len};

    (void)version;
    rkp_probe_session(r->probe, ssl);
    rkp_trust_alert(&m, &r->shake);
}

CURLcode
trust_hook(CURL *easy, void *ctx, void *arg)
{
    struct remote *r = arg;

    (void)easy;
    if (!rkp_trust_show(ctx, r->trust) || SSL_CTX_set1_verify_cert_store(ctx, r->trust->ca) != 1)
        return CURLE_SSL_CERTPROBLEM;
    r->shake = (struct rkp_handshake){.alert = -1};
    SSL_CTX_set_cert_verify_callback(ctx, verify_server, r);
    SSL_CTX_set_msg_callback(ctx, server_message);
    SSL_CTX_set_msg_callback_arg(ctx, r);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return CURLE_OK;
}

const char *
trust_why(const struct rkp_handshake *s)
{
    return rkp_trust_why(s, not_of_the_peer);
}
