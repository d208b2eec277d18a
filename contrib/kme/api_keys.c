/* api_keys.c - enc_keys and dec_keys (clauses 5.2 and 5.3).  Pure.
 *
 * enc_keys takes from the pool all that was asked for or nothing.  dec_keys gives all IDs or none, and each once,
 * but where the personality has it otherwise.
 */
#include "api_int.h"

#include <core/base/text.h>
#include <rekey/err.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_MEMORY "the KME has no memory or no random bytes"

/* A new key of the pair in give. */
static int
make_id(struct kme_call *call, const struct kme_names *names, size_t key_bytes, struct kme_give *give)
{
    struct kme *kme = call->kme;
    struct kme_about about = {key_bytes, (uint32_t)call->request->wall_ms, call->as->ones};
    int err;

    if (about.ones && (int32_t)(about.stamp - kme->stamp) <= 0)
        about.stamp = kme->stamp + 1;
    if (about.ones)
        kme->stamp = about.stamp;
    *give = (struct kme_give){.secret = &call->peer->secret, .names = *names};
    err = kme_id_make(give->secret, names, &about, &give->id);
    give->shown = give->id;
    return err;
}

/* What faults make of a list of keys that has room for one more. */
static int
bend_list(struct kme_call *call, struct kme_give *give, size_t *n)
{
    int err = RK_OK;

    if (kme_fault_on(call, KME_F_TOO_FEW))
        --*n;
    if (kme_fault_on(call, KME_F_TOO_MANY)) {
        err = make_id(call, &give[0].names, kme_id_key_bytes(&give[0].id), &give[*n]);
        ++*n;
    } else if (kme_fault_on(call, KME_F_TWICE)) {
        *n += *n == 1;
        give[*n - 1] = give[0];
    }
    return err;
}

/* The SAEs beside the first are known, and served by KMEs of this process; else an answer was written. */
static bool
others_check(struct kme_call *call, const struct kme_want *want)
{
    const struct kme_conf *conf = call->kme->conf;
    size_t at;

    for (size_t i = 0; i < want->n_others; i++) {
        for (at = 0; at < conf->n_peers; at++)
            if (conf->peers[at].same_process && kme_saes_at(&conf->peers[at].saes, want->other[i]) >= 0)
                break;
        if (at == conf->n_peers || strcmp(want->other[i], call->sae) == 0) {
            kme_bad(call, 400, "one of additional_slave_SAE_IDs is not known on this KME",
                    (struct kme_detail){"SAE_ID", want->other[i]});
            return false;
        }
    }
    return true;
}

static int
share(struct kme_call *call, const struct kme_want *want, const struct kme_give *give)
{
    struct kme_shared shared = {.id = give->id, .secret = give->secret, .n = want->n_others};

    rk_copy(shared.master, sizeof shared.master, give->names.master);
    rk_copy(shared.slave, sizeof shared.slave, give->names.slave);
    memcpy(shared.other, want->other, sizeof shared.other);
    return kme_ledger_share(call->kme->ledger, &shared);
}

/* New keys, and what the others of this process have to know of them. */
static int
make_keys(struct kme_call *call, const struct kme_want *want, const struct kme_names *names, struct kme_give *give)
{
    struct kme_waiting *waiting = call->as->replaces ? kme_ledger_waiting(call->kme->ledger, names) : NULL;
    int err = waiting ? kme_waiting_start(waiting, (size_t)want->number) : RK_OK;

    for (json_int_t i = 0; i < want->number && !err; i++) {
        err = make_id(call, names, (size_t)want->bits / 8, &give[i]);
        if (!err && want->n_others > 0)
            err = share(call, want, &give[i]);
        if (!err && waiting)
            kme_waiting_add(waiting, &give[i].id);
    }
    return err;
}

/* The first key of an answer is remembered, and may come again. */
static void
remember_first(struct kme_call *call, struct kme_give *give)
{
    struct kme_pair *pair = kme_pair_of(call, &give->names);
    struct kme_id now = give->id;

    if (kme_fault_on(call, KME_F_AGAIN) && pair->has_first &&
        kme_id_key_bytes(&pair->first) == kme_id_key_bytes(&give->id))
        give->id = give->shown = pair->first;
    else
        pair->first = now;
    pair->has_first = true;
}

static void
issue(struct kme_call *call, const struct kme_want *want)
{
    const struct kme_names names = {call->request->caller, call->sae};
    struct kme_give *give = calloc((size_t)want->number + 1, sizeof *give);
    size_t n = (size_t)want->number;
    int err = give ? make_keys(call, want, &names, give) : RK_E_NOMEM;
    char first[KME_ID_TEXT] = "";

    if (!err) {
        remember_first(call, give);
        kme_id_put(&give[0].id, first);
        err = bend_list(call, give, &n);
    }
    if (!err)
        err = kme_container(call, give, n);
    if (err)
        kme_bad(call, 503, NO_MEMORY, (struct kme_detail){0});
    else
        kme_note(call, "n=%zu bits=%lld first=%s", n, (long long)want->bits, first);
    free(give);
}

void
kme_enc_keys(struct kme_call *call)
{
    const struct kme_names names = {call->request->caller, call->sae};
    struct kme_want want;

    if (call->kme->conf->status_use == KME_STATUS_FIRST && !kme_pair_of(call, &names)->status_asked)
        kme_refuse(call, KME_R_STATUS, (struct kme_detail){0});
    else if (!kme_want_read(call, &want) || !others_check(call, &want))
        return;
    else if (kme_fault_on(call, KME_F_EMPTY) || want.number == 0)
        kme_no_keys(call, want.number ? "fault" : "number is 0");
    else if (kme_pool_take(call->pool, want.number * want.bits, call->request->now_ns))
        issue(call, &want);
    else
        kme_refuse(call, KME_R_POOL, (struct kme_detail){0});
}

/* Was the ID issued for another SAE of this KME?  Then the caller was not named as slave. */
static bool
of_another_slave(const struct kme_call *call, const struct kme_id *id)
{
    const struct kme_saes *saes = &call->kme->conf->saes;

    for (size_t i = 0; i < saes->n; i++) {
        const struct kme_names names = {call->sae, saes->id[i]};

        if (strcmp(names.slave, call->request->caller) != 0 && kme_id_issued(&call->peer->secret, &names, id))
            return true;
    }
    return kme_ledger_shared(call->kme->ledger, id) != NULL;
}

static bool
twice(const struct kme_give *give, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (memcmp(&give[i].id, &give[at].id, sizeof give[i].id) == 0)
            return true;
    return false;
}

/* Whose key an ID is: fills give.  false when it is not one that the caller may ask for. */
static bool
find_key(struct kme_call *call, const struct kme_names *names, struct kme_give *give)
{
    give->shown = give->id;
    give->names = *names;
    give->secret = &call->peer->secret;
    if (kme_id_issued(give->secret, names, &give->id))
        return true;
    give->shared = kme_ledger_shared(call->kme->ledger, &give->id);
    give->at = give->shared ? kme_shared_at(give->shared, names->slave) : -1;
    if (give->at < 0 || strcmp(give->shared->master, names->master) != 0)
        return false;
    give->secret = give->shared->secret;
    give->names = (struct kme_names){give->shared->master, give->shared->slave};
    return true;
}

/* The key of an ID that the caller may ask for is not there: it was fetched, replaced, or has not come yet. */
static bool
is_gone(struct kme_call *call, const struct kme_names *names, const struct kme_give *give)
{
    const struct kme_request *request = call->request;
    const struct kme_waiting *waiting;

    if (kme_fault_on(call, KME_F_NOT_FOUND) ||
        (kme_fault_on(call, KME_F_LATE) && kme_id_age(&give->id, request->wall_ms) < request->fault.value[KME_F_LATE]))
        return true;
    if (call->as->keeps)
        return false;
    if (give->shared)
        return give->shared->fetched[give->at];
    waiting = call->as->replaces ? kme_ledger_waiting(call->kme->ledger, names) : NULL;
    return kme_seen_has(&call->kme->seen, &give->id) || (waiting && !kme_waiting_has(waiting, &give->id));
}

/* All IDs can be given to the caller; else an answer was written. */
static bool
ids_check(struct kme_call *call, const struct kme_names *names, struct kme_give *give, size_t n)
{
    const struct kme_give *missing = NULL;
    char text[KME_ID_TEXT];

    for (size_t i = 0; i < n; i++) {
        bool found = find_key(call, names, &give[i]);

        if (!found && of_another_slave(call, &give[i].id)) {
            kme_refuse(call, KME_R_OTHER_SLAVE, (struct kme_detail){0});
            return false;
        }
        if (!missing && (!found || is_gone(call, names, &give[i]) || twice(give, i)))
            missing = &give[i];
    }
    if (missing) {
        kme_id_put(&missing->id, text);
        kme_refuse(call, KME_R_MISSING, (struct kme_detail){"key_ID", text});
    }
    return !missing;
}

/* After this the keys cannot be fetched again. */
static void
consume(struct kme_call *call, const struct kme_names *names, const struct kme_give *give, size_t n)
{
    struct kme_waiting *waiting = call->as->replaces ? kme_ledger_waiting(call->kme->ledger, names) : NULL;

    for (size_t i = 0; i < n; i++) {
        if (give[i].shared)
            give[i].shared->fetched[give[i].at] = true;
        else if (!call->as->keeps)
            kme_seen_add(&call->kme->seen, &give[i].id);
        if (waiting)
            kme_waiting_remove(waiting, &give[i].id);
    }
}

static void
deliver(struct kme_call *call, const struct kme_names *names, struct kme_give *give, size_t n)
{
    char first[KME_ID_TEXT];
    size_t shown = n;
    int err = kme_seen_reserve(&call->kme->seen, n);

    kme_id_put(&give[0].id, first);
    if (!err && kme_fault_on(call, KME_F_CONSUMED)) {
        consume(call, names, give, n);
        kme_refuse(call, KME_R_MISSING, (struct kme_detail){"key_ID", first});
        return;
    }
    for (size_t i = 0; i < n && !err && kme_fault_on(call, KME_F_WRONG_ID); i++) {
        struct kme_give other;

        err = make_id(call, &give[i].names, kme_id_key_bytes(&give[i].id), &other);
        give[i].shown = other.id;
    }
    if (!err) { /* before the list is bent: what is asked for is taken */
        consume(call, names, give, n);
        err = bend_list(call, give, &shown);
    }
    if (!err)
        err = kme_container(call, give, shown);
    if (err)
        kme_bad(call, 503, NO_MEMORY, (struct kme_detail){0});
    else
        kme_note(call, "n=%zu first=%s", shown, first);
}

/* Personalities that know what waits refuse before they look at what is asked for. */
static bool
none_left(struct kme_call *call, const struct kme_names *names)
{
    const struct kme_waiting *waiting = call->as->replaces ? kme_ledger_waiting(call->kme->ledger, names) : NULL;

    if (!waiting || waiting->n > 0)
        return false;
    kme_refuse(call, KME_R_NONE_LEFT, (struct kme_detail){0});
    return true;
}

void
kme_dec_keys(struct kme_call *call)
{
    const struct kme_names names = {call->sae, call->request->caller};
    struct kme_give *give = calloc((size_t)call->kme->conf->max_per_request + 1, sizeof *give);
    size_t n = 0;

    if (!give)
        kme_bad(call, 503, NO_MEMORY, (struct kme_detail){0});
    else if (none_left(call, &names) || !kme_ids_read(call, give, &n))
        ; /* an answer was written */
    else if (kme_fault_on(call, KME_F_EMPTY))
        kme_no_keys(call, "fault");
    else if (ids_check(call, &names, give, n))
        deliver(call, &names, give, n);
    free(give);
}
