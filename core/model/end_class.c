/* end_class.c - the classes as a table, and the words behind facts.  Pure. */
#include "end_class.h"

#include <stdio.h>
#include <string.h>

static const struct rk_variant variants[] = {
    [RK_CLASS_A] = {.slots = 4}, /* AN = seq mod 4 */
    [RK_CLASS_B] = {.cak = true},
    [RK_CLASS_C] = {.cak = true},
    [RK_CLASS_D] = {.cak = true, .timed = true},
    [RK_CLASS_E] = {.cak = true, .one_way = true},
};

static const char *const letters[] = {"?", "A", "B", "C", "D", "E"};

const struct rk_variant *
rk_variant(uint32_t class)
{
    return &variants[class >= RK_CLASS_A && class <= RK_CLASS_E ? class : RK_CLASS_A];
}

const char *
rk_class_letter(uint32_t class)
{
    return letters[class <= RK_CLASS_E ? class : 0];
}

bool
rk_class_proved(uint32_t a, uint32_t b)
{
    const struct rk_variant *va = rk_variant(a), *vb = rk_variant(b);

    return va->cak == vb->cak && !va->one_way && !vb->one_way;
}

static const char *const words_said[] = {"rekey", "shut", "fb"};
_Static_assert(RK_WORDS_ALL == (1u << sizeof words_said / sizeof *words_said) - 1, "a word for each");

static void
add(char *facts, const char *word)
{
    size_t len = strlen(facts), more = strlen(word);

    if (len + more + (len > 0) > RK_FACTS_MAX)
        return;
    if (len > 0)
        facts[len++] = ',';
    memcpy(facts + len, word, more + 1);
}

void
rk_words_add(char *facts, const struct rk_words *words)
{
    char class[4];

    if (words->class > RK_CLASS_A) {
        snprintf(class, sizeof class, "c=%s", rk_class_letter(words->class));
        add(facts, class);
    }
    for (size_t i = 0; i < sizeof words_said / sizeof *words_said; i++)
        if (words->flags & 1u << i)
            add(facts, words_said[i]);
}

/* Is it one of ours; then it is noted. */
static bool
known(const char *word, struct rk_words *words)
{
    for (size_t i = 0; i < sizeof words_said / sizeof *words_said; i++)
        if (strcmp(word, words_said[i]) == 0) {
            words->flags |= 1u << i;
            return true;
        }
    if (strncmp(word, "c=", 2) != 0 || word[2] < 'A' || word[2] > 'E' || word[3])
        return false;
    words->class = (uint32_t)(word[2] - 'A') + RK_CLASS_A;
    return true;
}

void
rk_words_take(char *facts, struct rk_words *words)
{
    *words = (struct rk_words){0, RK_CLASS_A};
    while (*facts) {
        char *comma = strrchr(facts, ',');

        if (!known(comma ? comma + 1 : facts, words))
            return;
        *(comma ? comma : facts) = '\0';
    }
}
