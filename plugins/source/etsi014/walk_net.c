/* walk_net.c - the part of a test of a source that looks its name up.  Runs on the host's worker threads. */
#include "walk.h"

/* libcurl looks the name up, as it does for a request, and is given no socket for any of its addresses. */
int
walk_dns(struct walk *w)
{
    long http;
    int err;

    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETFUNCTION, rkp_probe_socket);
    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETDATA, &w->probe);
    err = walk_ask(w, "", &http);
    curl_easy_setopt(w->slot->easy, CURLOPT_OPENSOCKETFUNCTION, (void *)NULL);
    return rkp_step_dns(&w->way, err, w->slot->err_text, w->e->proxy ? "proxy" : "url");
}
