/* conf_texts.c - the texts of links, one behind the other: each takes what it is long, not what it may be.
 *
 * Pure but for memory.  They stay where they are until the set is freed.
 */
#include "conf_priv.h"

#define BLOCK_BYTES 16384u /* a text is far shorter */

struct rk_conf_texts {
    struct rk_conf_texts *next;
    size_t used;
    char bytes[BLOCK_BYTES];
};

const char *
rk_conf_keep(struct rk_conf_read *r, const char *text)
{
    struct rk_conf_texts *block = r->set->texts;
    size_t size = strlen(text) + 1;
    char *at;

    if (!block || BLOCK_BYTES - block->used < size) {
        block = size <= BLOCK_BYTES ? malloc(sizeof *block) : NULL;
        if (!block) {
            r->nomem = true;
            return "";
        }
        block->next = r->set->texts;
        block->used = 0;
        r->set->texts = block;
    }
    at = memcpy(block->bytes + block->used, text, size);
    block->used += size;
    return at;
}

void
rk_conf_texts_free(struct rk_conf_texts *texts)
{
    while (texts) {
        struct rk_conf_texts *next = texts->next;

        free(texts);
        texts = next;
    }
}

#define LINK_TEXTS 5

struct rk_link_conf *
rk_conf_link_copy(const struct rk_link_conf *link)
{
    const char *from[LINK_TEXTS] = {link->peer_sae, link->iface, link->peer_iface, link->peer_chassis, link->peer_port};
    size_t size[LINK_TEXTS], all = 0;
    struct rk_link_conf *copy;
    const char **to[LINK_TEXTS];
    char *at;

    for (size_t i = 0; i < LINK_TEXTS; i++)
        all += size[i] = strlen(from[i]) + 1;
    copy = malloc(sizeof *copy + all);
    if (!copy)
        return NULL;
    *copy = *link;
    to[0] = &copy->peer_sae, to[1] = &copy->iface, to[2] = &copy->peer_iface;
    to[3] = &copy->peer_chassis, to[4] = &copy->peer_port;
    at = (char *)(copy + 1);
    for (size_t i = 0; i < LINK_TEXTS; at += size[i++])
        *to[i] = memcpy(at, from[i], size[i]);
    return copy;
}
