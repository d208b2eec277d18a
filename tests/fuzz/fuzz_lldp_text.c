/* fuzz_lldp_text.c - port descriptions from the wire, with any bytes, read as both formats.
 *
 * What is found is one printable word that fits, what is none is said in words, and our own text comes out again of
 * whatever the operator's is. */
#include "plugins/channel/lldp/neigh.h"

#include "text.h"

static void
look_as(enum lldp_format format, struct lldp_bytes d)
{
    static const char mine[] = "rk1|site-ab|M|1|7|O|550e8400-e29b-41d4-a716-446655440000||c=B||0123456789abcdef";
    char out[RK_RECORD_MAX + 1], shown[LLDP_TEXT_MAX + 1], ours[LLDP_TEXT_MAX + 1];
    enum lldp_found found = lldp_find(format, "key_id", d, out);
    size_t len = strlen(out), own = lldp_own_len(d);

    demand(len <= RK_RECORD_MAX && own <= d.len);
    demand((found == LLDP_NOTHING) == (len == 0));
    for (size_t i = 0; found == LLDP_RECORD && i < len; i++)
        demand(out[i] > ' ' && out[i] <= '~');
    demand(found != LLDP_RECORD || (format == LLDP_REKEY ? strncmp(out, "rk1|", 4) == 0 : out[0] == '='));
    demand(found != LLDP_FLAW || strchr(out, ' '));
    demand(!lldp_ours(format, "key_id", mine, ours) && ours[0]);
    lldp_join((struct lldp_bytes){d.bytes, own}, ours, shown);
    demand(strlen(shown) <= LLDP_TEXT_MAX);
    demand(lldp_find(format, "key_id", (struct lldp_bytes){shown, strlen(shown)}, out) == LLDP_RECORD);
    demand(strcmp(out, format == LLDP_REKEY ? mine : "=550e8400-e29b-41d4-a716-446655440000") == 0);
}

/* All three texts of a neighbour are foreign. */
static void
look_at_neighbour(const char *text)
{
    struct neigh_rules rules = {"site-ab", "eth1", "", "", LLDP_REKEY, "key_id"};
    struct rk_neighbour seen = {.size = sizeof seen, .iface = "eth1", .chassis = text, .port = text, .system = text,
                                .description = text};
    struct neighbours *t = neigh_new(&rules, 0);
    struct rk_post posts[4];
    char words[RK_RECORD_MAX + 1];
    size_t n;

    if (!t)
        return;
    neigh_heard(t, &seen, 0);
    seen.chassis = "another";
    neigh_heard(t, &seen, 0);
    n = neigh_news(t, 0, posts, 4);
    demand(n <= 3);
    (void)neigh_words(t, words);
    for (const char *c = words; *c; c++)
        demand(*c >= ' ' && *c <= '~');
    neigh_free(t);
}

static void
look(char *text, size_t size)
{
    look_as(LLDP_REKEY, (struct lldp_bytes){text, size});
    look_as(LLDP_OFFBOX, (struct lldp_bytes){text, size});
    look_at_neighbour(text);
}
