/* api_status.c - status (clause 5.1), the truth and the lies.  Pure. */
#include "api_int.h"

#include <stdio.h>

static int64_t
stored_keys(struct kme_call *call, const struct kme_names *names)
{
    int64_t real = kme_pool_level(call->pool, call->request->now_ns) / call->kme->conf->key_bits;
    const struct kme_waiting *waiting;

    switch (call->as->stored) {
    case KME_STORED_WAITING:
        waiting = kme_ledger_waiting(call->kme->ledger, names);
        return waiting ? (int64_t)waiting->n : 0;
    case KME_STORED_RANDOM:
        return 10 + (int64_t)(kme_dice(&call->kme->dice) % 9991);
    case KME_STORED_ONE:
        return real > 0;
    default:
        return real;
    }
}

/* A number of the status, or what a fault makes of it. */
static json_t *
number(const struct kme_call *call, int64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)n);
    if (kme_fault_on(call, KME_F_STATUS_STRINGS))
        return json_string(text);
    if (kme_fault_on(call, KME_F_STATUS_HUGE))
        return json_real(1e300);
    return json_integer(kme_fault_on(call, KME_F_STATUS_NEGATIVE) ? -n - 1 : n);
}

static void
answer(struct kme_call *call, const struct kme_names *names)
{
    const struct kme_conf *conf = call->kme->conf;
    int64_t stored = kme_fault_on(call, KME_F_STATUS_ZERO) ? 0 : stored_keys(call, names);
    const struct {
        const char *name;
        int64_t n;
    } numbers[] = {
        {"key_size", conf->key_bits},
        {"stored_key_count", stored},
        {"max_key_count", call->as->stored == KME_STORED_ONE ? 1 : conf->pool.keys},
        {"max_key_per_request", conf->max_per_request},
        {"max_key_size", conf->max_key_bits},
        {"min_key_size", conf->min_key_bits},
        {"max_SAE_ID_count", conf->max_saes},
    };
    json_t *json = json_pack("{s:s,s:s,s:s,s:s}", "source_KME_ID", conf->id, "target_KME_ID", call->peer->kme,
                             "master_SAE_ID", names->master, "slave_SAE_ID", names->slave);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && !kme_fault_on(call, KME_F_STATUS_SHORT); i++)
        json_object_set_new(json, numbers[i].name, number(call, numbers[i].n));
    kme_answer_json(call, json);
    kme_note(call, "stored=%lld", (long long)stored);
}

void
kme_status(struct kme_call *call)
{
    const struct kme_names names = {call->request->caller, call->sae};

    kme_pair_of(call, &names)->status_asked = true;
    if (call->kme->conf->status_use == KME_STATUS_NONE)
        kme_refuse(call, KME_R_PATH, (struct kme_detail){0});
    else
        answer(call, &names);
}
