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

struct rk_link_conf *
rk_conf_link_copy(const struct rk_link_conf *link)
{
    const char *from[3] = {link->peer_sae, link->iface, link->peer_iface};
    struct rk_link_conf *copy = malloc(sizeof *copy + strlen(from[0]) + strlen(from[1]) + strlen(from[2]) + 3);
    const char *kept[3];
    char *at = (char *)(copy + 1);

    if (!copy)
        return NULL;
    *copy = *link;
    for (size_t i = 0; i < 3; i++) {
        kept[i] = memcpy(at, from[i], strlen(from[i]) + 1);
        at += strlen(from[i]) + 1;
    }
    copy->peer_sae = kept[0];
    copy->iface = kept[1];
    copy->peer_iface = kept[2];
    return copy;
}
