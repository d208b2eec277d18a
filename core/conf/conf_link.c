/* conf_link.c - the links: each with what it inherits from the defaults, then all of them against each other.
 *
 * Pure but for memory.  There may be 100,000 links, so what is compared between links is sorted, never searched.
 */
#include "conf_link.h"

#include <rekey/plugin.h>

#include <stdio.h>

#define MS 1
#define S (1000 * MS)
#define H (3600 * S)
#define D (24LL * H)

#define START_LEAD_MS (60 * S)
#define SHUT_INTERVALS_MIN 4 /* at 3, EXPIRED, the peer is told; then one to hear it and rotate yet */
#define SHUT_INTERVALS 6

static const char *const roles[] = {"auto", "master", "slave", NULL};
static const char *const requires[] = {"all", "any", NULL};
static const char *const policies[] = {"hold", "fallback", "shut", NULL}; /* enum rk_stale_conf */

static const char *const priorities[] = {"0", "1", "2", "3", "4", "5", "6", "7", "low", "normal", "high", NULL};
static const uint8_t named_priorities[] = {1, 4, 6}; /* low, normal, high */

/* What a link may say.  Names of things are checked by what they name. */
const struct rk_opt rk_link_opts[N_KEYS + 1] = {
    [NAME] = {"name", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "the same at both ends"},
    [DEVICE] = {"device", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "device of this end"},
    [INTERFACE] = {"interface", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "interface of the device"},
    [PEER_SAE] = {"peer-sae", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "SAE ID of the other end"},
    [SOURCE] = {"source", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "where keys come from"},
    [CHANNEL] = {"channel", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "how key IDs reach the other end"},
    [PEER_DEVICE] = {"peer-device", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "channel local: device of the other end"},
    [PEER_INTERFACE] = {"peer-interface", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "channel local: its interface"},
    [PEER_SOURCE] = {"peer-source", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "channel local: its source"},
    [INTERVAL] = {"interval", RK_OPT_DURATION, 0, NULL, 100 * MS, 30 * D, "120s", NULL, "time between rotations"},
    [DRAIN] = {"drain", RK_OPT_DURATION, 0, NULL, 0, 1 * H, "2s", NULL, "time for frames under way before a key goes"},
    [VERIFY] = {"verify", RK_OPT_DURATION, 0, NULL, 100 * MS, 1 * D, "10s", NULL, "time between looks at the device"},
    [KEY_BITS] = {"key-bits", RK_OPT_INT, 0, "bits", 128, 4096, "256", NULL, "size of the keys"},
    [ROLE] = {"role", RK_OPT_ENUM, 0, NULL, 0, 0, "auto", roles, "who asks for new keys"},
    [ON_STALE] = {"on-stale", RK_OPT_ENUM, 0, NULL, 0, 0, "hold", policies, "what to do when the key is too old"},
    [FALLBACK_SOURCE] = {"fallback-source", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL,
                         "on-stale: fallback: where keys come from then"},
    [PEER_FALLBACK_SOURCE] = {"peer-fallback-source", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL,
                              "channel local: the same of the other end"},
    [SHUT_AFTER] = {"shut-after", RK_OPT_DURATION, 0, NULL, SHUT_INTERVALS_MIN * 100 * MS, 365 * D, NULL, NULL,
                    "on-stale: shut: age of the key"},
    [START_LEAD] = {"start-lead", RK_OPT_DURATION, 0, NULL, 4 * S, 30 * D, NULL, NULL,
                    "devices of class D: from begin to start time"},
    [PRIORITY] = {"priority", RK_OPT_ENUM, 0, NULL, 0, 0, "normal", priorities,
                  "who is slowed down last for want of keys"},
    [STRETCH_MAX] = {"stretch-max", RK_OPT_INT, 0, "times", 1, 16, "2", NULL, "how far for that, in intervals"},
    /* Type 0: not a single value. */
    [SOURCES] = {"sources", 0, 0, NULL, 0, 0, NULL, NULL, "instead of source: keys are mixed of all of them"},
    [PEER_SOURCES] = {"peer-sources", 0, 0, NULL, 0, 0, NULL, NULL, "channel local: the same of the other end"},
    [REQUIRE] = {"require", RK_OPT_ENUM, 0, NULL, 0, 0, "all", requires, "which of the sources must give a key"},
    [CHANNELS] = {"channels", 0, 0, NULL, 0, 0, NULL, NULL, "instead of channel: several ways, and any will do"},
    [PEER_CHASSIS] = {"peer-chassis", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "chassis ID of the neighbour"},
    [PEER_PORT] = {"peer-port", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "its port ID"},
    [RATCHET] = {"ratchet", RK_OPT_BOOL, 0, NULL, 0, 0, "yes", NULL, "records are signed by what the keys in use give"},
    [DISCOVER] = {"discover", RK_OPT_STRING, 0, NULL, 0, 0, NULL, NULL, "instead of one link: those the device finds"},
    [DISCOVER_EVERY] = {"discover-every", RK_OPT_DURATION, 0, NULL, 1 * S, 1 * D, "10m", NULL, "how often it looks"},
    [N_KEYS] = {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

void
rk_link_number(struct reading *g, int key, int64_t *v)
{
    *v = 0;
    if (g->v[key])
        rk_conf_value(g->r, &rk_link_opts[key], g->v[key], v);
    else
        rk_opt_value(&rk_link_opts[key], rk_link_opts[key].dflt, v, NULL, 0);
}

static void
missing(struct reading *g, int key, const char *when)
{
    struct rk_shown shown = {""};

    if (g->v[NAME] && g->v[NAME]->text)
        rk_opt_shown(g->v[NAME]->text, &shown);
    rk_conf_wrong(g->r, g->link->line, g->link->col, "link%s%s%s: \"%s\" is missing%s", shown.text[0] ? " \"" : "",
                  shown.text, shown.text[0] ? "\"" : "", rk_link_opts[key].name, when);
}

static void
read_name(struct reading *g)
{
    struct rk_node *node = g->v[NAME];
    struct rk_shown shown;

    if (!node) {
        missing(g, NAME, "");
    } else if (rk_conf_is_text(g->r, node)) {
        if (rk_name_ok(node->text, RK_LINK_MAX))
            rk_copy(g->link->name, sizeof g->link->name, node->text);
        else
            rk_conf_wrong(g->r, node->line, node->col,
                          "\"%s\" is no name: 1 to %d letters, digits, '.', '_' and '-', first a letter or digit",
                          rk_opt_shown(node->text, &shown), RK_LINK_MAX);
    }
}

/* An interface of RK_IFACE_MAX bytes at most, as devices name them. */
static void
read_iface(struct reading *g, int key, const char **out)
{
    struct rk_node *node = g->v[key];
    struct rk_shown shown;
    const char *c;

    if (!rk_conf_is_text(g->r, node))
        return;
    for (c = node->text; *c > ' ' && *c <= '~'; c++)
        ;
    if (!*c && c > node->text && c - node->text <= RK_IFACE_MAX) {
        *out = rk_conf_keep(g->r, node->text);
        return;
    }
    node->bad = true;
    rk_conf_wrong(g->r, node->line, node->col,
                  "%s: \"%s\" is no interface name: 1 to %d printable ASCII characters without blank",
                  rk_link_opts[key].name, rk_opt_shown(node->text, &shown), RK_IFACE_MAX);
}

static bool
read_peer_sae(struct reading *g)
{
    char sae[RK_SAE_MAX + 1];

    if (!rk_conf_sae(g->r, g->v[PEER_SAE], sae))
        return false;
    g->link->peer_sae = rk_conf_keep(g->r, sae);
    return true;
}

size_t
rk_link_reference(struct reading *g, int key, uint32_t kind)
{
    return g->v[key] ? rk_conf_find(g->r, kind, g->v[key]) : SIZE_MAX;
}

/* ---- the sources of one end ---- */

/* A link's own source or sources replace either of the defaults; its channels likewise. */
static void
choose(struct reading *g, int one, int several)
{
    if (g->own[one])
        g->v[several] = g->own[several];
    else if (g->own[several])
        g->v[one] = NULL;
    if (!g->v[one] || !g->v[several])
        return;
    rk_conf_wrong(g->r, g->v[several]->key_line, g->v[several]->key_col, "\"%s\" and \"%s\" exclude each other: "
                  "leave one of them out", rk_link_opts[one].name, rk_link_opts[several].name);
    g->v[one] = NULL;
}

static void
read_sources(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *own = g->own[REQUIRE];
    int64_t require;

    rk_link_number(g, REQUIRE, &require);
    link->n_sources = 1;
    if (g->v[SOURCES]) {
        link->n_sources = rk_conf_sources(g->r, g->v[SOURCES], &link->source, link->more);
        link->require_any = require == 1;
        return;
    }
    link->source = rk_link_reference(g, SOURCE, RK_SOURCE);
    if (own)
        rk_conf_wrong(g->r, own->key_line, own->key_col,
                      "\"require\" is only used with \"sources\", of which keys are mixed: leave it out");
}

/* channel: local: one list fits the other, and without a word of its own the other end has the same. */
static void
read_peer_sources(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    int wrong = g->v[SOURCES] ? PEER_SOURCE : PEER_SOURCES;
    const struct rk_node *list = g->v[PEER_SOURCES];
    unsigned n;

    if (g->own[wrong])
        rk_conf_wrong(g->r, g->own[wrong]->key_line, g->own[wrong]->key_col,
                      "\"%s\" does not go with \"%s\": both ends have one source, or both a list of as many",
                      rk_link_opts[wrong].name, g->v[SOURCES] ? "sources" : "source");
    link->peer_source = link->source;
    memcpy(link->peer_more, link->more, sizeof link->peer_more);
    if (!g->v[SOURCES] && g->v[PEER_SOURCE])
        link->peer_source = rk_link_reference(g, PEER_SOURCE, RK_SOURCE);
    if (!g->v[SOURCES] || !list)
        return;
    n = rk_conf_sources(g->r, g->v[PEER_SOURCES], &link->peer_source, link->peer_more);
    if (n && link->n_sources && n != link->n_sources)
        rk_conf_wrong(g->r, list->line, list->col, "peer-sources: %u names, but sources has %u: both ends take the "
                      "same keys, in this order", n, link->n_sources);
}

/* What only makes sense when this daemon has both ends. */
static void
read_local(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *role = g->own[ROLE];

    for (int key = PEER_DEVICE; key <= PEER_INTERFACE; key++)
        if (!g->v[key])
            missing(g, key, " (channel: local has both ends here)");
    link->peer_device = rk_link_reference(g, PEER_DEVICE, RK_DEVICE);
    read_peer_sources(g);
    if (g->v[PEER_INTERFACE])
        read_iface(g, PEER_INTERFACE, &link->peer_iface);
    if (g->v[PEER_SAE])
        read_peer_sae(g);
    else
        link->peer_sae = g->r->set->sae;
    if (role && link->role != RK_ROLE_AUTO)
        rk_conf_wrong(g->r, role->line, role->col, "role: both ends of channel: local are here: leave it out");
    link->role = RK_ROLE_AUTO; /* one of the defaults is for links with another site */
}

static void
read_remote(struct reading *g)
{
    static const int keys[] = {PEER_DEVICE, PEER_INTERFACE, PEER_SOURCE, PEER_SOURCES, PEER_FALLBACK_SOURCE};
    struct rk_link_conf *link = g->link;
    const struct rk_node *sae = g->v[PEER_SAE];

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (g->own[keys[i]])
            rk_conf_wrong(g->r, g->own[keys[i]]->key_line, g->own[keys[i]]->key_col,
                          "\"%s\" is only for channel: local, where both ends are here", rk_link_opts[keys[i]].name);
    if (!sae)
        missing(g, PEER_SAE, "");
    else if (read_peer_sae(g) && link->role == RK_ROLE_AUTO &&
             strcmp(link->peer_sae, g->r->set->sae) == 0 && !(g->v[ROLE] && g->v[ROLE]->bad))
        rk_conf_wrong(g->r, sae->line, sae->col,
                      "peer-sae is this site's own SAE: give role: master at one end and role: slave at the other");
}

static void
read_times(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *at = g->own[DRAIN] ? g->own[DRAIN] : g->own[INTERVAL] ? g->own[INTERVAL] : NULL;

    char drain[32], interval[32];

    rk_link_number(g, INTERVAL, &link->interval_ms);
    rk_link_number(g, DRAIN, &link->drain_ms);
    rk_link_number(g, VERIFY, &link->verify_ms);
    if (!at)
        at = g->v[DRAIN] ? g->v[DRAIN] : g->v[INTERVAL];
    if (!at || link->interval_ms <= 0 || link->drain_ms < link->interval_ms)
        return;
    rk_opt_number_text(&rk_link_opts[DRAIN], link->drain_ms, drain, sizeof drain);
    rk_opt_number_text(&rk_link_opts[INTERVAL], link->interval_ms, interval, sizeof interval);
    rk_conf_wrong(g->r, at->line, at->col, "drain (%s%s) must be below interval (%s)", drain,
                  g->v[DRAIN] ? "" : ", the default", interval);
}

/* ---- what is done with a key that is too old ---- */

static struct rk_node *
place(const struct reading *g, int key, int other)
{
    return g->own[key] ? g->own[key] : g->own[other] ? g->own[other] : g->v[key] ? g->v[key] : g->v[other];
}

/* An option of another policy: one of the defaults is for other links, an own one is a mistake. */
static void
only_for(struct reading *g, int key, enum rk_stale_conf policy)
{
    const struct rk_node *node = g->own[key];

    if (node && !(g->v[ON_STALE] && g->v[ON_STALE]->bad))
        rk_conf_wrong(g->r, node->key_line, node->key_col,
                      "\"%s\" is only used with on-stale: %s: add that, or leave this out", rk_link_opts[key].name,
                      policies[policy]);
}

static bool
is_source(const struct rk_link_conf *link, int end, size_t index)
{
    const uint32_t *more = end == SOURCE ? link->more : link->peer_more;
    bool found = index == (end == SOURCE ? link->source : link->peer_source);

    for (unsigned i = 1; i < link->n_sources; i++)
        found |= index == more[i - 1];
    return found;
}

/* The source of one end for when its own ones have no keys. */
static size_t
fallback_source(struct reading *g, int key)
{
    int one = key == FALLBACK_SOURCE ? SOURCE : PEER_SOURCE, several = one == SOURCE ? SOURCES : PEER_SOURCES;
    struct rk_node *node = g->v[key];
    const struct rk_node *at = place(g, key, g->v[several] ? several : one);
    size_t found = rk_link_reference(g, key, RK_SOURCE);

    if (found != SIZE_MAX && is_source(g->link, one, found))
        rk_conf_wrong(g->r, at->line, at->col, "%s: \"%s\" is the source of this end already: name another one",
                      rk_link_opts[key].name, node->text);
    return found;
}

static void
read_fallback(struct reading *g, bool local)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *policy = g->v[ON_STALE];

    if (!g->v[FALLBACK_SOURCE]) {
        rk_conf_wrong(g->r, policy->line, policy->col,
                      "on-stale: fallback needs \"fallback-source\": the source of the keys for that time");
        return;
    }
    link->fallback = fallback_source(g, FALLBACK_SOURCE);
    if (!local)
        return;
    link->peer_fallback = g->v[PEER_FALLBACK_SOURCE] ? fallback_source(g, PEER_FALLBACK_SOURCE) : link->fallback;
    if (!g->v[PEER_FALLBACK_SOURCE] && link->fallback != SIZE_MAX && is_source(link, PEER_SOURCE, link->fallback))
        rk_conf_wrong(g->r, g->v[FALLBACK_SOURCE]->line, g->v[FALLBACK_SOURCE]->col,
                      "fallback-source: \"%s\" is the source of the other end: give \"peer-fallback-source\", too",
                      g->v[FALLBACK_SOURCE]->text);
}

static void
read_shut_after(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *at = place(g, SHUT_AFTER, INTERVAL);
    int64_t least_ms = SHUT_INTERVALS_MIN * link->interval_ms;
    char after[32], least[32];

    rk_conf_warn(g->r, g->v[ON_STALE],
                 "on-stale: shut takes the link down when no new key comes: only for a link that must rather be down");
    link->shut_after_ms = SHUT_INTERVALS * link->interval_ms;
    if (!g->v[SHUT_AFTER])
        return;
    rk_link_number(g, SHUT_AFTER, &link->shut_after_ms);
    if (link->shut_after_ms == 0 || link->shut_after_ms >= least_ms)
        return;
    rk_opt_number_text(&rk_link_opts[SHUT_AFTER], link->shut_after_ms, after, sizeof after);
    rk_opt_number_text(&rk_link_opts[INTERVAL], least_ms, least, sizeof least);
    rk_conf_wrong(g->r, at->line, at->col, "shut-after (%s) must be %s or more, which is %d intervals", after, least,
                  SHUT_INTERVALS_MIN);
}

static void
read_stale(struct reading *g, bool local)
{
    struct rk_link_conf *link = g->link;
    int64_t policy;

    rk_link_number(g, ON_STALE, &policy);
    link->on_stale = (enum rk_stale_conf)policy;
    link->fallback = link->peer_fallback = SIZE_MAX;
    if (link->on_stale == RK_ON_STALE_FALLBACK) {
        read_fallback(g, local);
    } else {
        only_for(g, FALLBACK_SOURCE, RK_ON_STALE_FALLBACK);
        if (local) /* else it was refused already */
            only_for(g, PEER_FALLBACK_SOURCE, RK_ON_STALE_FALLBACK);
    }
    if (link->on_stale == RK_ON_STALE_SHUT)
        read_shut_after(g);
    else
        only_for(g, SHUT_AFTER, RK_ON_STALE_SHUT);
}

static void
read_lead(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    const struct rk_node *at = place(g, START_LEAD, INTERVAL);
    char lead[32], interval[32];

    link->start_lead_ms = link->interval_ms / 2 < START_LEAD_MS ? link->interval_ms / 2 : START_LEAD_MS;
    if (!g->v[START_LEAD])
        return;
    rk_link_number(g, START_LEAD, &link->start_lead_ms);
    if (link->interval_ms <= 0 || link->start_lead_ms < link->interval_ms)
        return;
    rk_opt_number_text(&rk_link_opts[START_LEAD], link->start_lead_ms, lead, sizeof lead);
    rk_opt_number_text(&rk_link_opts[INTERVAL], link->interval_ms, interval, sizeof interval);
    rk_conf_wrong(g->r, at->line, at->col, "start-lead (%s) must be below interval (%s)", lead, interval);
}

static void
read_ratchet(struct reading *g, bool local)
{
    const struct rk_node *own = g->own[RATCHET];
    int64_t on;

    rk_link_number(g, RATCHET, &on);
    g->link->ratchet = on && !local;
    if (own && local)
        rk_conf_wrong(g->r, own->key_line, own->key_col,
                      "\"ratchet\" is about records that leave this rekeyd; a link of channel: local has none");
}

static void
read_bits(struct reading *g)
{
    const struct rk_node *node = g->v[KEY_BITS];
    int64_t bits;

    rk_link_number(g, KEY_BITS, &bits);
    g->link->bits = (uint32_t)bits;
    if (bits % 8)
        rk_conf_wrong(g->r, node->line, node->col, "key-bits: must be a multiple of 8, as 128 or 256");
}

/* A link that is shut for its age must not be brought near that by being slowed down. */
static void
read_stretch(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    int64_t priority, most, shut;

    rk_link_number(g, PRIORITY, &priority);
    rk_link_number(g, STRETCH_MAX, &most);
    link->priority = priority < 8 ? (uint8_t)priority : named_priorities[priority - 8];
    link->stretch_max = (uint32_t)most * 1000;
    if (link->on_stale != RK_ON_STALE_SHUT || link->interval_ms <= 0)
        return;
    shut = link->shut_after_ms * 1000 / 2 / link->interval_ms;
    if (shut < link->stretch_max)
        link->stretch_max = shut > 1000 ? (uint32_t)shut : 1000;
}

void
rk_link_read(struct reading *g, struct rk_node *const *defaults)
{
    struct rk_link_conf *link = g->link;
    bool local;
    int64_t role;

    for (int key = 0; key < N_KEYS; key++)
        g->v[key] = g->own[key] ? g->own[key] : defaults[key];
    link->peer_sae = link->iface = link->peer_iface = link->peer_chassis = link->peer_port = "";
    read_name(g);
    rk_link_number(g, ROLE, &role);
    link->role = (enum rk_role_conf)role;
    choose(g, SOURCE, SOURCES);
    choose(g, CHANNEL, CHANNELS);
    for (int key = DEVICE; key <= CHANNEL; key++) {
        int other = key == SOURCE ? SOURCES : key == CHANNEL ? CHANNELS : key;

        if (!g->v[key] && !g->v[other] && (rk_link_opts[key].flags & RK_OPT_REQUIRED))
            missing(g, key, "");
    }
    local = g->v[CHANNEL] && g->v[CHANNEL]->text && strcmp(g->v[CHANNEL]->text, "local") == 0;
    link->device = rk_link_reference(g, DEVICE, RK_DEVICE);
    read_sources(g);
    rk_link_channels(g, local);
    link->peer_device = link->peer_source = SIZE_MAX;
    if (g->v[INTERFACE])
        read_iface(g, INTERFACE, &link->iface);
    if (local)
        read_local(g);
    else if (link->n_channels)
        read_remote(g);
    rk_link_pins(g, local);
    read_times(g);
    read_stale(g, local);
    read_lead(g);
    read_bits(g);
    read_ratchet(g, local);
    read_stretch(g);
}

static int
compare_ends(const void *a, const void *b)
{
    const struct link_end *x = a, *y = b;
    int order = x->device < y->device ? -1 : x->device > y->device;

    if (order == 0)
        order = strcmp(x->iface, y->iface);
    if (order == 0)
        order = x->line < y->line ? -1 : x->line > y->line;
    return order ? order : x->col < y->col ? -1 : x->col > y->col;
}

static void
add_end(struct link_end *ends, size_t *n, const struct reading *g, int key)
{
    const struct rk_link_conf *link = g->link;
    bool peer = key == PEER_INTERFACE;
    const struct rk_node *node = g->own[key];
    struct link_end end = {.device = peer ? link->peer_device : link->device,
                      .iface = peer ? link->peer_iface : link->iface,
                      .link = link->name,
                      .line = node ? node->line : link->line,
                      .col = node ? node->col : link->col,
                      .link_line = link->line};

    if (end.device != SIZE_MAX && end.iface[0])
        ends[(*n)++] = end;
}

static void
check_ends(struct rk_conf_read *r, struct link_end *ends, size_t n)
{
    size_t first = 0;

    qsort(ends, n, sizeof *ends, compare_ends);
    for (size_t i = 1; i < n; i++) {
        const struct link_end *e = &ends[i], *f = &ends[first];

        if (e->device != f->device || strcmp(e->iface, f->iface) != 0)
            first = i;
        else if (e->link == f->link)
            rk_conf_wrong(r, e->line, e->col, "both ends of the link are interface \"%s\" of device \"%s\"", e->iface,
                          r->set->instances[e->device].name);
        else
            rk_conf_wrong(r, e->line, e->col,
                          "interface \"%s\" of device \"%s\" is used already, by link \"%s\" in line %d", e->iface,
                          r->set->instances[e->device].name, f->link, f->link_line);
    }
}

static int
compare_links(const void *a, const void *b)
{
    const struct rk_link_conf *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order == 0)
        order = x->line < y->line ? -1 : x->line > y->line;
    return order ? order : x->col < y->col ? -1 : x->col > y->col;
}

static void
sort_links(struct rk_conf_read *r)
{
    struct rk_link_conf *links = r->set->links;
    size_t first = 0;

    qsort(links, r->set->n_links, sizeof *links, compare_links);
    for (size_t i = 1; i < r->set->n_links; i++)
        if (strcmp(links[i].name, links[first].name) != 0)
            first = i;
        else if (links[i].name[0])
            rk_conf_wrong(r, links[i].line, links[i].col, "there is a link \"%s\" already, in line %d", links[i].name,
                          links[first].line);
}

/* Every value of the defaults is checked once here, also when no link takes it. */
static void
read_defaults(struct rk_conf_read *r, struct rk_node *map, struct rk_node **defaults)
{
    memset(defaults, 0, N_KEYS * sizeof *defaults);
    if (!map || !rk_conf_is(r, map, RK_NODE_MAP))
        return;
    rk_conf_keys(r, map, rk_link_opts, defaults);
    if (defaults[NAME])
        rk_conf_wrong(r, defaults[NAME]->key_line, defaults[NAME]->key_col, "\"name\" cannot have a default");
    for (int key = DISCOVER; key <= DISCOVER_EVERY; key++)
        if (defaults[key])
            rk_conf_wrong(r, defaults[key]->key_line, defaults[key]->key_col, "\"%s\" cannot have a default: it goes "
                          "into links", rk_link_opts[key].name);
    defaults[NAME] = defaults[DISCOVER] = defaults[DISCOVER_EVERY] = NULL;
    for (int key = 0; key < N_KEYS; key++)
        if (defaults[key] && rk_link_opts[key].type)
            rk_conf_value(r, &rk_link_opts[key], defaults[key], NULL);
        else if (defaults[key])
            rk_conf_is(r, defaults[key], RK_NODE_LIST);
}

void
rk_link_read_ends(struct reading *g, struct rk_node *const *defaults, struct link_ends *all)
{
    rk_link_read(g, defaults);
    add_end(all->list, &all->n, g, INTERFACE);
    add_end(all->list, &all->n, g, PEER_INTERFACE);
}

static bool
make_room(struct rk_conf_read *r, size_t n, struct reading **groups, struct link_ends *all)
{
    size_t most = n + (r->found ? r->found->n : 0) + 1;

    r->set->links = calloc(most, sizeof *r->set->links);
    r->set->discovers = calloc(n + 1, sizeof *r->set->discovers);
    all->list = calloc(2 * most, sizeof *all->list);
    r->nomem |= !r->set->links || !r->set->discovers || !all->list;
    *groups = NULL;
    return !r->nomem;
}

/* One entry of links: a link, or a group of those that a device finds. */
static void
read_entry(struct rk_conf_read *r, struct rk_node *node, struct rk_node *const *defaults, struct reading **groups,
           struct link_ends *all)
{
    struct reading g = {.r = r, .link = &r->set->links[r->set->n_links]};

    if (!rk_conf_is(r, node, RK_NODE_MAP))
        return;
    rk_conf_keys(r, node, rk_link_opts, g.own);
    if (g.own[DISCOVER]) {
        struct reading *more = reallocarray(*groups, r->set->n_discovers + 1, sizeof *more);

        r->nomem |= !more;
        if (!more)
            return;
        *groups = more;
        more[r->set->n_discovers] = g;
        rk_group_read(&g, node, defaults);
        return;
    }
    if (g.own[DISCOVER_EVERY])
        rk_conf_wrong(r, g.own[DISCOVER_EVERY]->key_line, g.own[DISCOVER_EVERY]->key_col,
                      "\"discover-every\" is only used with \"discover\"");
    r->set->n_links++;
    g.link->line = node->line;
    g.link->col = node->col;
    rk_link_read_ends(&g, defaults, all);
}

void
rk_conf_links(struct rk_conf_read *r, struct rk_node *list, struct rk_node *defaults_map)
{
    struct rk_node *defaults[N_KEYS], *first = NULL;
    struct reading *groups = NULL;
    struct link_ends all = {NULL, 0};
    bool one = list && list->type == RK_NODE_MAP && rk_tree_get(list, rk_link_opts[DISCOVER].name);

    read_defaults(r, defaults_map, defaults);
    if (!one && list && rk_conf_is(r, list, RK_NODE_LIST))
        first = list->first;
    if (make_room(r, one ? 1 : first ? rk_conf_count(list) : 0, &groups, &all)) {
        if (one)
            read_entry(r, list, defaults, &groups, &all);
        for (struct rk_node *node = first; node && !r->nomem; node = node->next)
            read_entry(r, node, defaults, &groups, &all);
        if (!r->failed && !r->nomem)
            rk_groups_add(r, groups, defaults, &all);
        check_ends(r, all.list, all.n);
        sort_links(r);
    }
    free(groups);
    free(all.list);
}
