/* sim_lab_rig.c - see sim_lab_rig.h */
#include "sim_lab_rig.h"

#include <contrib/junos-sim/store.h>

#include <core/base/log.h>
#include <libxml/parser.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char config[] =
    "set protocols lldp interface all\nset interfaces ge-0/0/1 description \"a & <b>\"\n"
    CA "security-mode static-cak\n" CA "pre-shared-key ckn " ONE "\n"
    CA "pre-shared-key cak 000102030405060708090a0b0c0d0e0f\n"
    CA "fallback-key ckn " TWO "\n" CA "fallback-key cak 100102030405060708090a0b0c0d0e0f\n"
    "set security macsec interfaces ge-0/0/1 connectivity-association CA1\n"
    "set security macsec interfaces ge-0/0/2 connectivity-association CA1\n"
    "set security authentication-key-chains key-chain KC key 0 key-name " ONE "\n"
    "set security authentication-key-chains key-chain KC key 0 secret 000102030405060708090a0b0c0d0e0f\n"
    "set security authentication-key-chains key-chain KC key 0 start-time 2026-01-01.00:00:00\n";
static const char topology[] =
    "user: { name: lab, keys: keys }\n"
    "devices:\n"
    "  - { name: m, address: 127.0.1.1, like: mx, config: conf, ports: [ge-0/0/1, ge-0/0/2] }\n"
    "  - { name: s, address: 127.0.1.2, like: srx, config: conf, ports: [ge-0/0/1, ge-0/0/2] }\n"
    "  - { name: e, address: 127.0.1.3, like: acx-evo, zone: Europe/Berlin, config: conf, ports: [ge-0/0/1] }\n"
    "  - { name: x, address: 127.0.1.4, like: ex, config: conf, ports: [{ name: ge-0/0/1, speed: 1Gbps }] }\n"
    "cables: [\"m:ge-0/0/1 - s:ge-0/0/1\", \"e:ge-0/0/1 - x:ge-0/0/1\"]\n";

char dir[] = "/tmp/sim-show-XXXXXX";
struct sim_lab lab;
int64_t now;

void
lab_put(const char *name, const char *text)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

void
pass(int64_t ms)
{
    pthread_mutex_lock(&world_lock);
    for (int64_t end = now + ms; now < end; world_tick()) {
        now += 100;
        world_set_clock(now, 0.001);
    }
    pthread_mutex_unlock(&world_lock);
}

int
lab_start(void **state)
{
    char path[64], why[SIM_WHY_MAX] = "";

    (void)state;
    now = INT64_C(1790000000000);
    world_set_clock(now, 0.001);
    snprintf(path, sizeof path, "%s/lab.yaml", dir);
    if (sim_topology_load(path, &lab, why) < 0)
        fail_msg("%s", why);
    world_set_clock(now, 0.001);
    for (size_t i = 0; i < lab.n; i++)
        if (store_start(lab.boxes[i], why) < 0)
            fail_msg("%s", why);
    pass(6000);
    return 0;
}

int
lab_end(void **state)
{
    (void)state;
    sim_world_stop(&lab);
    sim_lab_free(&lab);
    return 0;
}

char *
asked(const char *box, const char *request)
{
    xmlDoc *doc = xmlReadMemory(request, (int)strlen(request), NULL, NULL, 0);
    xmlNode *root = xmlDocGetRootElement(doc);
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    int err;

    assert_non_null(root);
    fputs("<rpc-reply xmlns:junos=\"http://xml.juniper.net/junos/x/junos\">\n", f);
    err = sim_show(sim_lab_box(&lab, box), (const char *)root->name, root, f);
    fputs("</rpc-reply>\n", f);
    fclose(f);
    xmlFreeDoc(doc);
    if (err) {
        free(text);
        return NULL;
    }
    return text;
}

xmlDoc *
answer(const char *box, const char *request)
{
    char *text = asked(box, request);
    xmlDoc *doc;

    assert_non_null(text);
    doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, 0);
    assert_non_null(doc); /* well-formed, with text that must be escaped */
    free(text);
    return doc;
}

/* How many times an element is there, and the text of the last one. */
static size_t
find(const xmlNode *of, const char *name, char *text, size_t size)
{
    size_t n = 0;

    for (const xmlNode *c = of->children; c; c = c->next) {
        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp((const char *)c->name, name) == 0) {
            n++;
            conf_value(c, text, size);
        }
        n += find(c, name, text, size);
    }
    return n;
}

size_t
count(const char *box, const char *request, const char *name, char *text, size_t size)
{
    xmlDoc *doc = answer(box, request);
    size_t n;

    text[0] = '\0';
    n = find(xmlDocGetRootElement(doc), name, text, size);
    xmlFreeDoc(doc);
    return n;
}

int
lab_make(void **state)
{
    (void)state;
    rk_log_start("sim_test", RK_LOG_ERR);
    if (!mkdtemp(dir) || !schema_start())
        return -1;
    lab_put("keys", "ssh-ed25519 none\n");
    lab_put("conf", config);
    lab_put("lab.yaml", topology);
    return 0;
}

int
lab_remove(void **state)
{
    static const char *const names[] = {"keys", "conf", "lab.yaml", "bad.yaml"};
    char path[64];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    schema_stop();
    xmlCleanupParser();
    return rmdir(dir);
}
