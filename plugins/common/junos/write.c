/* write.c - writes a plan as a load-configuration.  Pure.
 *
 * The action is merge, and delete is said only of places and pairs that this plugin filled.  The binding of an
 * interface and the security mode are written only with the first key of an association that has none, and a binding
 * only where there is none.  A key is a part of its own, never in the text. */
#include "write.h"

#include <stdlib.h>
#include <string.h>

struct writer {
    const struct rk_host *host;
    FILE *out;
    char *text;
    size_t len, from; /* from: where the piece that is being written begins */
    struct nc_part *part;
    size_t *at;       /* of each part its piece's offset */
    size_t n, cap;
    bool failed;
};

/* ---- parts ---- */

static void
add_part(struct writer *w, struct nc_part part, size_t at)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        struct nc_part *parts = realloc(w->part, cap * sizeof *parts);
        size_t *ats = parts ? realloc(w->at, cap * sizeof *ats) : NULL;

        w->part = parts ? parts : w->part;
        w->at = ats ? ats : w->at;
        w->failed |= !parts || !ats;
        if (w->failed)
            return;
        w->cap = cap;
    }
    w->part[w->n] = part;
    w->at[w->n++] = at;
}

static void
end_piece(struct writer *w)
{
    fputc('\0', w->out);
    add_part(w, (struct nc_part){.kind = NC_TEXT}, w->from);
    w->from = (size_t)ftell(w->out);
}

static void
leaf(struct writer *w, const char *name, const char *value)
{
    fprintf(w->out, "<%s>", name);
    jn_xml_put(w->out, value);
    fprintf(w->out, "</%s>", name);
}

static void
key_leaf(struct writer *w, const char *name, const struct jn_place *p)
{
    fprintf(w->out, "<%s>", name);
    end_piece(w);
    add_part(w, (struct nc_part){.kind = p->cak ? NC_SECRET_HEX : NC_SECRET_TEXT,
                                 .secret = p->cak ? p->cak : p->stored}, 0);
    fprintf(w->out, "</%s>", name);
}

/* ---- our own checks ---- */

static size_t
cak_bytes(const struct jn_ca *ca)
{
    return strstr(ca->cipher, "256") ? 32 : 16; /* "": gcm-aes-128 */
}

static bool
ckn_ok(const char *ckn)
{
    return strlen(ckn) == JN_CKN_HEX && strspn(ckn, "0123456789abcdef") == JN_CKN_HEX;
}

static const char *
place_fault(const struct writer *w, const struct jn_unit *u, const struct jn_place *p, const struct jn_key *was)
{
    bool same = was && strcmp(was->ckn, p->ckn) == 0;

    if (!jn_place_differs(p, was) || same)
        return NULL;
    if (!p->cak && !p->stored)
        return "a key that is in no form";
    /* an operator's CKN may be shorter; it goes on as it is, with the key as the router stores it */
    if (p->cak && !ckn_ok(p->ckn))
        return "a CKN that has not 64 lower-case hexadecimal digits";
    if (p->cak && w->host->secret_len(p->cak) != cak_bytes(u->ca))
        return "a CAK of another length than the cipher suite needs";
    return NULL;
}

static const char *
unit_fault(const struct writer *w, const struct jn_unit *u)
{
    const char *fault;

    if (!u->ca)
        return NULL;
    fault = place_fault(w, u, &u->psk, &u->ca->psk);
    if (!fault)
        fault = place_fault(w, u, &u->fallback, &u->ca->fallback);
    for (size_t i = 0; !fault && u->chain && i < JN_SLOTS; i++) {
        fault = place_fault(w, u, &u->slot[i], jn_chain_key(u->chain, i));
        if (!fault && u->slot[i].bad_start && jn_place_differs(&u->slot[i], jn_chain_key(u->chain, i)))
            fault = "a start time that cannot be read";
    }
    return fault;
}

/* ---- one unit ---- */

static void
psk(struct writer *w, const char *name, const struct jn_place *p, const struct jn_key *was)
{
    if (jn_place_gone(p, was)) {
        fprintf(w->out, "<%s delete=\"delete\"/>", name);
        return;
    }
    if (!jn_place_differs(p, was))
        return;
    fprintf(w->out, "<%s>", name);
    leaf(w, "ckn", p->ckn);
    key_leaf(w, "cak", p);
    fprintf(w->out, "</%s>", name);
}

static void
pair_gone(struct writer *w, const char *name)
{
    fputs("<data delete=\"delete\">", w->out);
    leaf(w, "name", name);
    fputs("</data>", w->out);
}

static void
macro(struct writer *w, const struct jn_unit *u)
{
    const struct jn_macro *was = &u->ca->rekey;

    if (u->n_own == 0 && was->n == 0)
        return;
    fputs("<apply-macro>", w->out);
    leaf(w, "name", JN_MACRO);
    for (size_t i = 0; i < was->n; i++)
        if (jn_is_ckn(was->pair[i].name) && !jn_owns(u, was->pair[i].name))
            pair_gone(w, was->pair[i].name);
    for (size_t i = 0; i < u->n_own; i++) {
        const struct jn_pair *p = jn_pair_of(was, u->own[i].ckn);

        if (p && strcmp(p->value, u->own[i].seq) == 0)
            continue;
        fputs("<data>", w->out);
        leaf(w, "name", u->own[i].ckn);
        leaf(w, "value", u->own[i].seq);
        fputs("</data>", w->out);
    }
    fputs("</apply-macro>", w->out);
}

static bool
to_write(const struct jn_unit *u)
{
    return !u->err && !u->skip && jn_unit_differs(u);
}

static void
association(struct writer *w, const struct jn_unit *u)
{
    fputs("<connectivity-association>", w->out);
    leaf(w, "name", u->ca->name);
    macro(w, u);
    if (jn_ca_is_new(u->ca) && u->psk.ckn[0])
        leaf(w, "security-mode", "static-cak");
    psk(w, "pre-shared-key", &u->psk, &u->ca->psk);
    psk(w, "fallback-key", &u->fallback, &u->ca->fallback);
    fputs("</connectivity-association>", w->out);
}

static void
chain_key(struct writer *w, const struct jn_place *p, const struct jn_key *was, int32_t zone_s)
{
    bool same = was && strcmp(was->ckn, p->ckn) == 0;
    char start[20];

    if (!same) {
        key_leaf(w, "secret", p);
        leaf(w, "key-name", p->ckn);
    }
    jn_start_write(p->start_s, zone_s, start);
    leaf(w, "start-time", start);
}

static void
chain(struct writer *w, const struct jn_unit *u, int32_t zone_s)
{
    bool empty = true;

    fputs("<key-chain>", w->out);
    leaf(w, "name", u->chain->name);
    for (size_t i = 0; i < JN_SLOTS; i++)
        empty &= u->slot[i].ckn[0] == '\0';
    if (empty)
        leaf(w, "description", "keys are installed by rekeyd"); /* some releases refuse a chain that has nothing */
    for (size_t i = 0; i < JN_SLOTS; i++) {
        const struct jn_key *was = jn_chain_key(u->chain, i);
        const struct jn_place *p = &u->slot[i];
        bool gone = jn_place_gone(p, was);

        if (!gone && !jn_place_differs(p, was))
            continue;
        fprintf(w->out, "<key%s><name>%zu</name>", gone ? " delete=\"delete\"" : "", i);
        if (!gone)
            chain_key(w, p, was, zone_s);
        fputs("</key>", w->out);
    }
    fputs("</key-chain>", w->out);
}

static void
interface(struct writer *w, const struct jn_unit *u)
{
    fputs("<interface>", w->out);
    leaf(w, "name", u->iface);
    if (u->text[0])
        leaf(w, "description", u->text);
    else
        fputs("<description delete=\"delete\"/>", w->out);
    fputs("</interface>", w->out);
}

/* ---- all units ---- */

static bool
has_keys(const struct jn_unit *u)
{
    return to_write(u) && u->ca;
}

static bool
has_chain(const struct jn_unit *u)
{
    return to_write(u) && u->chain;
}

static bool
has_text(const struct jn_unit *u)
{
    return to_write(u) && u->described && strcmp(u->text, u->was_text) != 0;
}

static bool
any(const struct jn_plan *plan, bool (*what)(const struct jn_unit *))
{
    for (size_t i = 0; i < plan->n_unit; i++)
        if (what(&plan->unit[i]))
            return true;
    return false;
}

/* Its first key comes with this commit; a binding that is there is never changed. */
static void
binding(struct writer *w, const struct jn_unit *u)
{
    fputs("<interfaces>", w->out);
    leaf(w, "name", u->iface);
    leaf(w, "connectivity-association", u->ca->name);
    fputs("</interfaces>", w->out);
}

static void
security(struct writer *w, const struct jn_plan *plan)
{
    fputs("<security>", w->out);
    if (any(plan, has_chain)) {
        fputs("<authentication-key-chains>", w->out);
        for (size_t i = 0; i < plan->n_unit; i++)
            if (has_chain(&plan->unit[i]))
                chain(w, &plan->unit[i], plan->zone_s);
        fputs("</authentication-key-chains>", w->out);
    }
    fputs("<macsec>", w->out);
    for (size_t i = 0; i < plan->n_unit; i++)
        if (has_keys(&plan->unit[i]))
            association(w, &plan->unit[i]);
    for (size_t i = 0; i < plan->n_unit; i++)
        if (has_keys(&plan->unit[i]) && plan->unit[i].bind)
            binding(w, &plan->unit[i]);
    fputs("</macsec></security>", w->out);
}

static void
write_all(struct writer *w, const struct jn_plan *plan)
{
    fputs("<load-configuration action=\"merge\" format=\"xml\"><configuration>", w->out);
    if (any(plan, has_keys))
        security(w, plan);
    if (any(plan, has_text)) {
        fputs("<interfaces>", w->out);
        for (size_t i = 0; i < plan->n_unit; i++)
            if (has_text(&plan->unit[i]))
                interface(w, &plan->unit[i]);
        fputs("</interfaces>", w->out);
    }
    fputs("</configuration></load-configuration>", w->out);
    end_piece(w);
}

static void
refuse_faulty(struct writer *w, struct jn_plan *plan)
{
    for (size_t i = 0; i < plan->n_unit; i++) {
        struct jn_unit *u = &plan->unit[i];
        const char *fault = u->err ? NULL : unit_fault(w, u);

        if (!fault)
            continue;
        u->err = RK_E_CONTRACT;
        snprintf(u->why, sizeof u->why, "not sent to the router: %s", fault);
    }
}

static bool
differs(const struct jn_unit *u)
{
    return to_write(u);
}

int
jn_write(const struct rk_host *host, struct jn_plan *plan, struct jn_load **out)
{
    struct writer w = {.host = host};
    struct jn_load *load = calloc(1, sizeof *load);

    *out = NULL;
    if (!load)
        return RK_E_NOMEM;
    refuse_faulty(&w, plan);
    if (!any(plan, differs)) {
        *out = load;
        return RK_OK;
    }
    w.out = open_memstream(&w.text, &w.len);
    if (!w.out)
        goto fail;
    write_all(&w, plan);
    w.failed |= ferror(w.out) != 0;
    w.failed |= fclose(w.out) != 0;
    if (w.failed)
        goto fail;
    for (size_t i = 0; i < w.n; i++)
        w.part[i].text = w.part[i].kind == NC_TEXT ? w.text + w.at[i] : NULL;
    free(w.at);
    *load = (struct jn_load){.text = w.text, .part = w.part, .n = w.n};
    *out = load;
    return RK_OK;
fail:
    free(w.text);
    free(w.part);
    free(w.at);
    free(load);
    return RK_E_NOMEM;
}

void
jn_load_free(struct jn_load **load)
{
    if (!*load)
        return;
    free((*load)->text);
    free((*load)->part);
    free(*load);
    *load = NULL;
}
