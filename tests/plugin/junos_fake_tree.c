/* junos_fake_tree.c - the tree of the router for tests of the write side: its places, loads, and what is wrong. */
#include "junos_fake.h"
#include "junos_fake_tree.h"

#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

xmlNode *
xchild(const xmlNode *parent, const char *name)
{
    for (xmlNode *c = parent ? parent->children : NULL; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && strcmp((const char *)c->name, name) == 0)
            return c;
    return NULL;
}

#define TEXTS 512
char *
xtext(const xmlNode *n)
{
    static char *ring[TEXTS];
    static size_t at;
    char **slot = &ring[at++ % TEXTS];

    xmlFree(*slot);
    *slot = n ? (char *)xmlNodeGetContent(n) : NULL;
    return *slot ? *slot : (char *)"";
}

void
fake_texts_end(void)
{
    for (int i = 0; i < TEXTS; i++)
        (void)xtext(NULL);
}

char *
xchild_text(const xmlNode *parent, const char *name)
{
    return xtext(xchild(parent, name));
}

xmlNode *
xitem(const xmlNode *parent, const char *list, const char *asked)
{
    char name[128]; /* a copy: text_of has only so many buffers */

    snprintf(name, sizeof name, "%s", asked);
    for (xmlNode *c = xchild(parent, list); c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && strcmp((const char *)c->name, list) == 0 &&
            strcmp(xchild_text(c, "name"), name) == 0)
            return c;
    return NULL;
}

static xmlNode *
macsec_of(const xmlDoc *doc)
{
    return xchild(xchild(xmlDocGetRootElement(doc), "security"), "macsec");
}

static xmlNode *
chain_of(const xmlDoc *doc, const char *name)
{
    return xitem(xchild(xchild(xmlDocGetRootElement(doc), "security"), "authentication-key-chains"), "key-chain", name);
}

const char *
fake_at(const char *ca, const char *place)
{
    const xmlNode *n = xitem(macsec_of(router.committed), "connectivity-association", ca);
    char path[100];

    snprintf(path, sizeof path, "%s", place);
    for (char *save = NULL, *word = strtok_r(path, "/", &save); word; word = strtok_r(NULL, "/", &save))
        n = xchild(n, word);
    return n ? xtext(n) : "";
}

static xmlNode *
slot_of(const char *chain, int slot)
{
    char name[8];

    snprintf(name, sizeof name, "%d", slot);
    return xitem(chain_of(router.committed, chain), "key", name);
}

const char *
fake_slot(const char *chain, int slot, const char *leaf)
{
    return xchild_text(slot_of(chain, slot), leaf);
}

size_t
fake_slots(const char *chain)
{
    size_t n = 0;

    for (int i = 0; i < JN_SLOTS; i++)
        n += slot_of(chain, i) != NULL;
    return n;
}

const char *
fake_description(const char *iface)
{
    return xchild_text(xitem(xchild(xmlDocGetRootElement(router.committed), "interfaces"), "interface", iface),
                       "description");
}

const char *
fake_macro(const char *ca, const char *key_id)
{
    const xmlNode *n = xitem(macsec_of(router.committed), "connectivity-association", ca);
    const xmlNode *data = xitem(xitem(n, "apply-macro", "rekey"), "data", fake_ckn(key_id));

    return data ? xchild_text(data, "value") : NULL;
}

/* ---- load: merge into the candidate ---- */

static bool
is_delete(xmlNode *n)
{
    xmlChar *v = xmlGetProp(n, BAD_CAST "delete");
    bool is = v && strcmp((const char *)v, "delete") == 0;

    xmlFree(v);
    return is;
}

void
fake_merge(xmlNode *to, xmlNode *from)
{
    for (xmlNode *c = from->children; c; c = c->next) {
        xmlNode *at, *name;

        if (c->type != XML_ELEMENT_NODE)
            continue;
        name = xchild(c, "name");
        at = name ? xitem(to, (const char *)c->name, xtext(name)) : xchild(to, (const char *)c->name);
        if (is_delete(c)) {
            assert_non_null(at); /* what is not there is not to be deleted */
            xmlUnlinkNode(at);
            xmlFreeNode(at);
        } else if (!at) {
            xmlAddChild(to, xmlDocCopyNode(c, to->doc, 1));
        } else if (!xchild(c, "name") && !xmlFirstElementChild(c)) {
            xmlNodeSetContent(at, BAD_CAST "");
            xmlNodeAddContent(at, BAD_CAST xtext(c));
        } else {
            fake_merge(at, c);
        }
    }
}

/* ---- what a router would refuse, and more ---- */

static bool
hex_of(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static bool
stored_is(const char *text, size_t digits)
{
    return strncmp(text, "$9$", 3) == 0 && hex_of(text + 3, digits);
}

/* NULL, or what is wrong with the key of this place */
static const char *
key_fault(const xmlNode *n, const char *cak_name, const char *ckn_name, size_t digits)
{
    const char *cak = xchild_text(n, cak_name), *ckn = xchild_text(n, ckn_name);

    if (!n)
        return NULL;
    if (strlen(ckn) % 2 || !ckn[0] || strspn(ckn, "0123456789abcdef") != strlen(ckn) || strlen(ckn) > 64)
        return "ckn: Must be an even-length string up to 64 hexadecimal digits";
    return stored_is(cak, digits) ? NULL : "cak of another length than the cipher suite needs";
}

/* An association that is prepared has no key yet. */
static bool
had_key(const char *asked)
{
    char ca[64];

    snprintf(ca, sizeof ca, "%s", asked);
    return fake_at(ca, "pre-shared-key/ckn")[0] || fake_at(ca, "fallback-key/ckn")[0];
}

static const char *
ca_fault(const xmlDoc *doc, xmlNode *ca)
{
    size_t digits = strstr(xchild_text(ca, "cipher-suite"), "256") ? 64 : 32;
    const xmlNode *psk = xchild(ca, "pre-shared-key"), *fb = xchild(ca, "fallback-key"), *chain = NULL;
    const char *fault = key_fault(psk, "cak", "ckn", digits);

    if (xchild(ca, "pre-shared-key-chain"))
        chain = chain_of(doc, xchild_text(ca, "pre-shared-key-chain"));
    if (!fault)
        fault = key_fault(fb, "cak", "ckn", digits);
    if (!fault && psk && fb && strcmp(xchild_text(psk, "ckn"), xchild_text(fb, "ckn")) == 0)
        fault = "fallback-key has the ckn of pre-shared-key";
    if (!fault && xchild(ca, "pre-shared-key-chain") && !chain)
        fault = "authentication-key-chains not defined";
    for (xmlNode *k = chain ? chain->children : NULL; !fault && k; k = k->next) {
        if (k->type != XML_ELEMENT_NODE || strcmp((const char *)k->name, "key") != 0)
            continue;
        fault = key_fault(k, "secret", "key-name", digits);
        if (!fault && fb && strcmp(xchild_text(fb, "ckn"), xchild_text(k, "key-name")) == 0)
            fault = "fallback-key has the ckn of a key of the chain";
        for (xmlNode *o = k->next; !fault && o; o = o->next)
            if (o->type == XML_ELEMENT_NODE && xchild(o, "start-time") &&
                strcmp(xchild_text(o, "start-time"), xchild_text(k, "start-time")) == 0)
                fault = "start-time must be unique";
    }
    if (!fault && chain && !xchild(chain, "key") && !xchild(chain, "description"))
        fault = "key-chain is empty";
    if (!fault && !psk && !fb && !chain && had_key(xchild_text(ca, "name")))
        fault = "pre-shared key or fallback-key or pre-shared-key-chain required";
    return fault;
}

const char *
fake_fault(const xmlDoc *doc, char *path, size_t size)
{
    for (xmlNode *ca = xchild(macsec_of(doc), "connectivity-association"); ca; ca = ca->next) {
        const char *fault = ca->type == XML_ELEMENT_NODE &&
                            strcmp((const char *)ca->name, "connectivity-association") == 0 ? ca_fault(doc, ca) : NULL;

        if (!fault)
            continue;
        snprintf(path, size, "[edit security macsec connectivity-association %s]", xchild_text(ca, "name"));
        return fault;
    }
    return NULL;
}
