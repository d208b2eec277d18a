/* rights.c - login classes: permissions, and regular expressions over statements
 *
 * Pure.  A statement is "security macsec connectivity-association CA1 pre-shared-key": an expression that matches it
 * from its beginning up to the end of a word allows (or denies) it and all below.
 */
#include "rights.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MAX 32
#define EXPRESSIONS_MAX 32

struct rights {
    char bits[BITS_MAX][40];
    size_t n_bits;
    regex_t allow[EXPRESSIONS_MAX], deny[EXPRESSIONS_MAX];
    size_t n_allow, n_deny;
    bool all;
};

static void
add_bit(struct rights *r, const char *bit)
{
    if (r->n_bits < BITS_MAX)
        snprintf(r->bits[r->n_bits++], sizeof r->bits[0], "%s", bit);
    r->all |= strcmp(bit, "all") == 0;
}

static void
add_expression(regex_t *to, size_t *n, const char *text)
{
    if (*n < EXPRESSIONS_MAX && regcomp(&to[*n], text, REG_EXTENDED) == 0)
        ++*n;
}

static void
add_expressions(const xmlNode *class, const char *statement, regex_t *to, size_t *n)
{
    char text[1100];

    for (const xmlNode *e = conf_get(class, statement); e; e = conf_next(e))
        if (conf_value(e, text, sizeof text))
            add_expression(to, n, text);
}

static void
from_configuration(struct rights *r, const xmlNode *conf, const char *class)
{
    char path[160], bit[64];
    const xmlNode *c;

    snprintf(path, sizeof path, "system/login/class[%s]", class);
    if (!conf || !(c = conf_get(conf, path)))
        return;
    for (const xmlNode *p = conf_get(c, "permissions"); p; p = conf_next(p))
        if (conf_value(p, bit, sizeof bit))
            add_bit(r, bit);
    add_expressions(c, "allow-configuration", r->allow, &r->n_allow);
    add_expressions(c, "allow-configuration-regexps", r->allow, &r->n_allow);
    add_expressions(c, "deny-configuration", r->deny, &r->n_deny);
    add_expressions(c, "deny-configuration-regexps", r->deny, &r->n_deny);
}

struct rights *
rights_new(const xmlNode *conf, const char *class)
{
    struct rights *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    if (!*class || strcmp(class, "super-user") == 0)
        add_bit(r, "all");
    else if (strcmp(class, "operator") == 0 || strcmp(class, "read-only") == 0)
        add_bit(r, "view");
    else
        from_configuration(r, conf, class);
    return r;
}

void
rights_free(struct rights **r)
{
    if (!*r)
        return;
    for (size_t i = 0; i < (*r)->n_allow; i++)
        regfree(&(*r)->allow[i]);
    for (size_t i = 0; i < (*r)->n_deny; i++)
        regfree(&(*r)->deny[i]);
    free(*r);
    *r = NULL;
}

static bool
has_bit(const struct rights *r, const char *bit)
{
    for (size_t i = 0; i < r->n_bits; i++)
        if (strcmp(r->bits[i], bit) == 0)
            return true;
    return r->all;
}

bool
rights_configure(const struct rights *r)
{
    return has_bit(r, "configure");
}

bool
rights_view(const struct rights *r)
{
    return has_bit(r, "view");
}

/* Does it match from the beginning up to the end of a word?  *above: the expression may match further down. */
static bool
matches(const regex_t *e, size_t n, const char *path)
{
    regmatch_t m;

    for (size_t i = 0; i < n; i++)
        if (regexec(&e[i], path, 1, &m, 0) == 0 && m.rm_so == 0 && (!path[m.rm_eo] || path[m.rm_eo] == ' ' ||
                                                                    (m.rm_eo > 0 && path[m.rm_eo - 1] == ' ')))
            return true;
    return false;
}

/* The permission that a part of the configuration needs: "security", "security-control". */
static bool
by_bit(const struct rights *r, const char *path, bool control)
{
    static const char *const part[][2] = {{"security", "security"}, {"interfaces", "interface"},
                                          {"system login", "admin"}, {"system", "system"}, {"protocols", "routing"},
                                          {"routing-options", "routing"}, {"snmp", "snmp"},
                                          {"event-options", "maintenance"}, {"chassis", "system"}};
    char bit[48];

    if (r->all || has_bit(r, "all-control"))
        return true;
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        size_t n = strlen(part[i][0]);

        if (strncmp(path, part[i][0], n) != 0 || (path[n] && path[n] != ' '))
            continue;
        snprintf(bit, sizeof bit, "%s-control", part[i][1]);
        return has_bit(r, bit) || (!control && has_bit(r, part[i][1]));
    }
    return false;
}

bool
rights_edit(const struct rights *r, const char *path)
{
    return (by_bit(r, path, true) || matches(r->allow, r->n_allow, path)) && !matches(r->deny, r->n_deny, path);
}

/* Containers above what may be seen are shown; an expression is not looked into for that: they hold nothing else. */
static bool
is_container(const char *path)
{
    static const char *const above[] = {"security", "security macsec", "security authentication-key-chains", "system",
                                        "system services", "system login", "interfaces", "protocols"};

    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++)
        if (strcmp(path, above[i]) == 0)
            return true;
    return false;
}

bool
rights_see(const struct rights *r, const char *path)
{
    if (matches(r->deny, r->n_deny, path))
        return false;
    return has_bit(r, "view-configuration") || by_bit(r, path, false) || matches(r->allow, r->n_allow, path) ||
           (r->n_allow > 0 && is_container(path));
}

bool
rights_secret(const struct rights *r, const char *path)
{
    return has_bit(r, "secret") || has_bit(r, "secret-control") || (has_bit(r, "security-control") &&
                                                                    strncmp(path, "security ", 9) == 0);
}
