/* plan_diff.c - what of a unit differs from a configuration.  Pure. */
#include "plan.h"

#include <string.h>

const struct jn_key *
jn_chain_key(const struct jn_chain *chain, size_t slot)
{
    for (size_t i = 0; chain && i < chain->n; i++)
        if (chain->key[i].slot == (int)slot)
            return &chain->key[i];
    return NULL;
}

bool
jn_ca_is_new(const struct jn_ca *ca)
{
    return !ca->mode[0] && !ca->psk.ckn[0] && !ca->fallback.ckn[0] && !ca->chain[0];
}

bool
jn_is_ckn(const char *text)
{
    size_t len = strlen(text);

    return len >= 2 && len <= JN_CKN_HEX && len % 2 == 0 && strspn(text, "0123456789abcdef") == len;
}

const struct jn_pair *
jn_pair_of(const struct jn_macro *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->pair[i].name, name) == 0)
            return &m->pair[i];
    return NULL;
}

bool
jn_place_differs(const struct jn_place *p, const struct jn_key *was)
{
    return p->ckn[0] && (!was || strcmp(p->ckn, was->ckn) != 0 || p->start_s != was->start_s);
}

bool
jn_place_gone(const struct jn_place *p, const struct jn_key *was)
{
    return !p->ckn[0] && was && was->ckn[0];
}

static bool
place_is_not(const struct jn_place *p, const struct jn_key *was)
{
    return jn_place_differs(p, was) || jn_place_gone(p, was);
}

static bool
own_differs(const struct jn_unit *u, const struct jn_macro *m)
{
    for (size_t i = 0; i < u->n_own; i++) {
        const struct jn_pair *p = jn_pair_of(m, u->own[i].ckn);

        if (!p || strcmp(p->value, u->own[i].seq) != 0)
            return true;
    }
    for (size_t i = 0; i < m->n; i++)
        if (jn_is_ckn(m->pair[i].name) && !jn_owns(u, m->pair[i].name))
            return true;
    return false;
}

/* ret: what differs, NULL nothing */
static const char *
differs(const struct jn_unit *u, const struct jn_ca *ca, const struct jn_chain *chain)
{
    if (place_is_not(&u->psk, &ca->psk))
        return "pre-shared-key";
    if (place_is_not(&u->fallback, &ca->fallback))
        return "fallback-key";
    for (size_t i = 0; u->chain && i < JN_SLOTS; i++)
        if (place_is_not(&u->slot[i], jn_chain_key(chain, i)))
            return "a key of the chain, or its start time";
    return own_differs(u, &ca->rekey) ? "apply-macro rekey" : NULL;
}

bool
jn_unit_differs(const struct jn_unit *u)
{
    return (u->ca && differs(u, u->ca, u->chain)) || (u->described && strcmp(u->text, u->was_text) != 0);
}

static const char *
text_of(const struct jn_conf *conf, const char *iface)
{
    for (size_t i = 0; i < conf->n_text; i++)
        if (strcmp(conf->text[i].name, iface) == 0)
            return conf->text[i].description;
    return "";
}

static bool
is_bound(const struct jn_conf *conf, const struct jn_unit *u)
{
    const struct jn_port *port = jn_conf_port(conf, u->iface);

    return port && strcmp(port->ca, u->ca->name) == 0;
}

bool
jn_unit_shown(const struct jn_unit *u, const struct jn_conf *conf, const char **what)
{
    const struct jn_ca *ca = u->ca ? jn_conf_ca(conf, u->ca->name) : NULL;
    const struct jn_chain *chain = u->chain ? jn_conf_chain(conf, u->chain->name) : NULL;

    *what = NULL;
    if (u->ca && !ca)
        *what = "the connectivity association";
    else if (u->ca)
        *what = differs(u, ca, chain);
    if (!*what && u->bind && !is_bound(conf, u))
        *what = "the interface's connectivity association";
    if (!*what && u->described && strcmp(u->text, text_of(conf, u->iface)) != 0)
        *what = "the description";
    return *what == NULL;
}
