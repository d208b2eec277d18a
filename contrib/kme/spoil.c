/* spoil.c - what faults make of a finished answer: its text, not its meaning.  Pure. */
#include "api_int.h"

#include <stdlib.h>
#include <string.h>

/* The same text behind n bytes; without memory it stays as it is. */
static char *
shift(struct kme_answer *ans, size_t n)
{
    char *text = malloc(n + ans->len + 1);

    if (!text)
        return NULL;
    memset(text, ' ', n);
    if (ans->text)
        memcpy(text + n, ans->text, ans->len);
    n += ans->len;
    text[n] = '\0';
    kme_answer_free(ans);
    ans->text = text;
    ans->len = n;
    return text;
}

static void
deepen(struct kme_answer *ans)
{
    char *text = malloc(KME_DEEP + 1);

    if (!text)
        return;
    memset(text, '[', KME_DEEP);
    text[KME_DEEP] = '\0';
    kme_answer_free(ans);
    ans->text = text;
    ans->len = KME_DEEP;
}

void
kme_spoil(struct kme_answer *ans, const struct kme_fault *fault)
{
    char *text;

    if (fault->on[KME_F_DEEP] && ans->form != KME_BARE)
        deepen(ans);
    if (fault->on[KME_F_BINARY] && (text = shift(ans, 4)) != NULL)
        memcpy(text, "\xff\xfe\0\x01", 4);
    if (fault->on[KME_F_HUGE])
        shift(ans, (size_t)fault->value[KME_F_HUGE] * 1024);
    if (fault->on[KME_F_TRUNCATED] && ans->text) {
        explicit_bzero(ans->text + ans->len / 2, ans->len - ans->len / 2);
        ans->len /= 2;
    }
    if (fault->on[KME_F_UNTYPED] && ans->form != KME_BARE)
        ans->form = KME_UNTYPED;
}
