/* opt.c - one option's value against its row of a schema.
 *
 * Pure.  Runs in rekeyd, in every rekey-host and in the tests of plugins, so it must stay free of YAML.  It must
 * never put the value of a SECRET into a text.
 */
#include "opt.h"

#include "../base/limits.h"
#include "../base/text.h"
#include "utf8.h"

#include <rekey/err.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Falling, so that the first factor that divides a bound names it shortest. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0}};

/* Where the reason of a refusal goes. */
struct why {
    char *text;
    size_t size;
};

static int wrong(const struct why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
wrong(const struct why *why, const char *fmt, ...)
{
    va_list ap;

    if (!why->text || why->size == 0)
        return RK_E_CONFIG;
    va_start(ap, fmt);
    vsnprintf(why->text, why->size, fmt, ap);
    va_end(ap);
    return RK_E_CONFIG;
}

const char *
rk_opt_shown(const char *value, struct rk_shown *shown)
{
    char *out = shown->text;
    const char *end = shown->text + sizeof shown->text - sizeof "...";

    while (*value) {
        size_t n = rk_utf8_len(value, 4);

        if (out + (n ? n : 1) > end) {
            memcpy(out, "...", 3);
            out += 3;
            break;
        }
        if (n > 1 && !((unsigned char)value[0] == 0xc2 && (unsigned char)value[1] < 0xa0)) {
            memcpy(out, value, n);
            out += n;
        } else {
            *out++ = (char)(n == 1 && *value >= ' ' && *value != 0x7f ? *value : '?');
        }
        value += n ? n : 1;
    }
    *out = '\0';
    return shown->text;
}

const struct rk_opt rk_device_opts[] = {
    {"call-budget", RK_OPT_DURATION, 0, NULL, RK_CALL_BUDGET_MIN_MS, RK_CALL_BUDGET_MAX_MS, NULL, NULL,
     "Longest time of a call to this device"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

const struct rk_opt rk_channel_opts[] = {
    {"auth-key", RK_OPT_SECRET, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL,
     "Key shared with the other site, which signs the records"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

const struct rk_opt *
rk_opt_find(const struct rk_opt *opts, const char *name)
{
    for (; opts && opts->name; opts++)
        if (strcmp(opts->name, name) == 0)
            return opts;
    return NULL;
}

const char *
rk_opt_type_name(uint32_t type)
{
    static const char *const names[] = {"?",    "string", "bool", "integer", "duration",
                                        "size", "choice", "path", "URL",     "secret"};

    return type < sizeof names / sizeof *names ? names[type] : "?";
}

static int
check_bool(const char *value, int64_t *v, const struct why *why)
{
    struct rk_shown shown;

    *v = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    if (*v || strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
        return RK_OK;
    return wrong(why, "yes or no expected, not \"%s\"", rk_opt_shown(value, &shown));
}

static int
digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* The digits of base 10 or 16 at *at, which moves behind them.  *v: -1 when they need more than 63 bits.
 * false: there is none. */
static bool
read_digits(const char **at, int base, int64_t *v)
{
    const char *start = *at;

    for (*v = 0; digit_of(**at) < base; (*at)++)
        if (*v >= 0 && (__builtin_mul_overflow(*v, (int64_t)base, v) ||
                        __builtin_add_overflow(*v, (int64_t)digit_of(**at), v)))
            *v = -1;
    return *at > start;
}

/* A bound as one would write it. */
static void
bound_text(int64_t v, const struct unit *u, char *out, size_t size)
{
    while (u && u->factor > 1 && v % u->factor)
        u++;
    if (!u || v == 0)
        snprintf(out, size, "%lld", (long long)v);
    else
        snprintf(out, size, "%lld%s", (long long)(v / u->factor), u->name);
}

static int
check_range(const struct rk_opt *o, int64_t v, const struct unit *units, const struct why *why)
{
    const char *unit = !units && o->unit ? o->unit : "";
    char low[32], high[32];

    if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
        return RK_OK;
    bound_text(o->min, units, low, sizeof low);
    bound_text(o->max, units, high, sizeof high);
    if (o->max == INT64_MAX)
        return wrong(why, "must be %s%s%s or more", low, *unit ? " " : "", unit);
    return wrong(why, "must be %s..%s%s%s", low, high, *unit ? " " : "", unit);
}

static int
check_int(const struct rk_opt *o, const char *value, int64_t *v, const struct why *why)
{
    const char *at = value + (*value == '-');
    bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
    struct rk_shown shown;

    if (!hex && at[0] == '0' && at[1] >= '0' && at[1] <= '9')
        return wrong(why, "\"%s\": leave out the leading 0 (numbers are decimal, or hex as 0x1f)",
                     rk_opt_shown(value, &shown));
    at += hex ? 2 : 0;
    if (!read_digits(&at, hex ? 16 : 10, v) || *at)
        return wrong(why, "whole number expected, not \"%s\"", rk_opt_shown(value, &shown));
    if (*v < 0)
        return wrong(why, "\"%s\" is too large", rk_opt_shown(value, &shown));
    *v = *value == '-' ? -*v : *v;
    return check_range(o, *v, NULL, why);
}

/* A number with a unit. */
static int
check_units(const struct rk_opt *o, const char *value, const struct unit *units, int64_t *v, const struct why *why)
{
    bool time = units == duration_units;
    const char *names = time ? "ms, s, m, h, d" : "B, KiB, MiB, GiB", *at = value;
    const struct unit *u = units;
    struct rk_shown shown;

    rk_opt_shown(value, &shown);
    if (!read_digits(&at, 10, v))
        return wrong(why, "whole number with unit expected, as %s, not \"%s\"", time ? "90s" : "64KiB", shown.text);
    if (!*at)
        return wrong(why, "needs a unit: %s%s? (%s)", shown.text, time ? "s" : "B", names);
    if (*at == '.' || *at == ',')
        return wrong(why, "\"%s\": whole number expected, take a smaller unit (%s)", shown.text, names);
    while (u->name && strcmp(u->name, at) != 0)
        u++;
    if (!u->name)
        return wrong(why, "\"%s\": unknown unit (%s)", shown.text, names);
    if (*v < 0 || __builtin_mul_overflow(*v, u->factor, v))
        return wrong(why, "\"%s\" is too large", shown.text);
    return check_range(o, *v, units, why);
}

static size_t
count_choices(const struct rk_opt *o)
{
    size_t n = 0;

    while (o->choices && o->choices[n])
        n++;
    return n;
}

/* All choices as "a, b or c", cut when they are many. */
static const char *
choices_text(const struct rk_opt *o, char *out, size_t size)
{
    size_t n = count_choices(o), len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", o->choices[i]);
    return out;
}

static int
check_enum(const struct rk_opt *o, const char *value, int64_t *v, const struct why *why)
{
    size_t n = count_choices(o);
    struct rk_shown shown;
    const char *near;
    char all[160];

    for (size_t i = 0; i < n; i++)
        if (strcmp(o->choices[i], value) == 0) {
            *v = (int64_t)i;
            return RK_OK;
        }
    near = rk_nearest(value, o->choices, n);
    choices_text(o, all, sizeof all);
    rk_opt_shown(value, &shown);
    return wrong(why, "%s expected, not \"%s\"%s%s%s", all, shown.text, near ? ": did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
}

static bool
is_ascii_word(const char *text)
{
    const char *c = text;

    while (*c > ' ' && *c <= '~')
        c++;
    return c > text && *c == '\0';
}

static bool
has_controls(const char *value)
{
    for (; *value; value++)
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            return true;
    return false;
}

static int
check_string(const struct rk_opt *o, const char *value, const struct why *why)
{
    size_t len = strlen(value);

    if (o->max <= 0 || ((int64_t)len >= o->min && (int64_t)len <= o->max))
        return RK_OK;
    if (len == 0)
        return wrong(why, "must not be empty");
    return wrong(why, "must be %lld..%lld bytes long, not %zu", (long long)o->min, (long long)o->max, len);
}

static int
check_path(const char *value, const struct why *why)
{
    struct rk_shown shown;

    if (value[0] != '/')
        return wrong(why, "absolute path expected, not \"%s\"", rk_opt_shown(value, &shown));
    if (has_controls(value))
        return wrong(why, "control character in path \"%s\"", rk_opt_shown(value, &shown));
    return RK_OK;
}

/* Length of the scheme of a URL (RFC 3986 3.1), 0: none. */
static size_t
scheme_len(const char *value)
{
    const char *end = strstr(value, "://");
    size_t n = end ? (size_t)(end - value) : 0;

    for (size_t i = 0; i < n; i++) {
        char c = value[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return 0;
    }
    return n;
}

static bool
scheme_allowed(const struct rk_opt *o, const char *value, size_t len)
{
    size_t n = count_choices(o);

    for (size_t i = 0; i < n; i++)
        if (strlen(o->choices[i]) == len && strncmp(o->choices[i], value, len) == 0)
            return true;
    return n == 0;
}

/* host[:port] of len bytes; host may be [IPv6]. */
static int
check_host(const char *host, size_t len, const struct why *why)
{
    const char *end = host + len, *bracket = memchr(host, ']', len);
    const char *colon = memchr(bracket ? bracket : host, ':', (size_t)(end - (bracket ? bracket : host)));
    const char *at = colon ? colon + 1 : end;
    int64_t port = 1;

    if (len == 0 || colon == host)
        return wrong(why, "URL has no host");
    if ((host[0] == '[') != (bracket != NULL) || bracket == host + 1 ||
        (bracket && bracket + 1 != (colon ? colon : end)))
        return wrong(why, "URL's host is not right: an IPv6 address is written as [2001:db8::1]");
    if (colon && (!read_digits(&at, 10, &port) || at != end || port < 1 || port > 65535))
        return wrong(why, "URL's port must be 1..65535 (an IPv6 address is written as [2001:db8::1])");
    return RK_OK;
}

/* Never echoes the URL behind its scheme: there might be a password in it. */
static int
check_url(const struct rk_opt *o, const char *value, const struct why *why)
{
    size_t scheme = scheme_len(value), len;
    const char *host = value + scheme + 3;
    char all[160];

    choices_text(o, all, sizeof all);
    if (scheme == 0)
        return wrong(why, "URL expected, as %s://host", count_choices(o) ? o->choices[0] : "https");
    if (!scheme_allowed(o, value, scheme))
        return wrong(why, "URL's scheme must be %s, not \"%.*s\"", all, (int)(scheme < 20 ? scheme : 20), value);
    if (!is_ascii_word(value))
        return wrong(why, "URL must be printable ASCII without blanks (others as %%20)");
    len = strcspn(host, "/?#");
    if (memchr(host, '@', len))
        return wrong(why, "URL must not hold a user or password");
    return check_host(host, len, why);
}

static int
check_secret(const char *value, const struct why *why)
{
    if (strncmp(value, "fd:", 3) == 0 || strncmp(value, "cred:", 5) == 0)
        return wrong(why, "secrets by fd: or cred: are not supported: give \"file:/absolute/path\"");
    if (strncmp(value, "file:", 5) != 0)
        return wrong(why, "a secret is never written here: put it in a file and give \"file:/absolute/path\"");
    if (value[5] != '/' || !value[6])
        return wrong(why, "absolute path expected behind file: (\"file:/absolute/path\")");
    if (has_controls(value))
        return wrong(why, "control character in the path of a secret");
    return RK_OK;
}

int
rk_opt_value(const struct rk_opt *o, const char *value, int64_t *v, char *text, size_t size)
{
    const struct why why = {text, size};
    int64_t none, *number = v ? v : &none;
    int err = RK_E_CONFIG;

    *number = 0;
    if (text && size)
        text[0] = '\0';
    if (strlen(value) >= RK_VALUE_MAX)
        return wrong(&why, "longer than %d bytes", RK_VALUE_MAX - 1);
    switch (o->type) {
    case RK_OPT_STRING:
        return check_string(o, value, &why);
    case RK_OPT_BOOL:
        err = check_bool(value, number, &why);
        break;
    case RK_OPT_INT:
        err = check_int(o, value, number, &why);
        break;
    case RK_OPT_DURATION:
        err = check_units(o, value, duration_units, number, &why);
        break;
    case RK_OPT_SIZE:
        err = check_units(o, value, size_units, number, &why);
        break;
    case RK_OPT_ENUM:
        err = check_enum(o, value, number, &why);
        break;
    case RK_OPT_PATH:
        return check_path(value, &why);
    case RK_OPT_URL:
        return check_url(o, value, &why);
    case RK_OPT_SECRET:
        return check_secret(value, &why);
    default:
        return wrong(&why, "option of a type that is not known (%u)", (unsigned)o->type);
    }
    if (err)
        *number = 0;
    return err;
}

void
rk_opt_number_text(const struct rk_opt *o, int64_t v, char *out, size_t size)
{
    if (o->type == RK_OPT_BOOL)
        snprintf(out, size, "%s", v ? "yes" : "no");
    else if (o->type == RK_OPT_ENUM)
        snprintf(out, size, "%s", v >= 0 && (size_t)v < count_choices(o) ? o->choices[v] : "?");
    else
        bound_text(v, o->type == RK_OPT_DURATION ? duration_units : o->type == RK_OPT_SIZE ? size_units : NULL, out,
                   size);
}

bool
rk_opt_one_of(const struct rk_opt *opts, char *names, size_t size)
{
    size_t len = 0;

    names[0] = '\0';
    for (const struct rk_opt *o = opts; o && o->name; o++)
        if ((o->flags & RK_OPT_ONE_OF) && len < size)
            len += (size_t)snprintf(names + len, size - len, "%s\"%s\"", len ? " or " : "", o->name);
    return len > 0;
}

static bool
name_sane(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > RK_NAME_MAX || name[0] < 'a' || name[0] > 'z' || name[n - 1] == '-' || strstr(name, "--"))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && strcmp(name, "plugin") != 0;
}

static int
choices_sane(const struct rk_opt *o, const struct why *why)
{
    size_t n = count_choices(o);

    if (o->type == RK_OPT_ENUM && n == 0)
        return wrong(why, "option %s: a choice without choices", o->name);
    if (o->choices && o->type != RK_OPT_ENUM && o->type != RK_OPT_URL)
        return wrong(why, "option %s: choices with type %s", o->name, rk_opt_type_name(o->type));
    if (n > RK_CHOICES_MAX)
        return wrong(why, "option %s: more than %d choices", o->name, RK_CHOICES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!is_ascii_word(o->choices[i]) || strlen(o->choices[i]) >= RK_VALUE_MAX)
            return wrong(why, "option %s: choice %zu is not a word of printable ASCII", o->name, i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(o->choices[i], o->choices[k]) == 0)
                return wrong(why, "option %s: choice %s is there twice", o->name, o->choices[i]);
    }
    return RK_OK;
}

static int
range_sane(const struct rk_opt *o, const struct why *why)
{
    bool natural = o->type == RK_OPT_DURATION || o->type == RK_OPT_SIZE || o->type == RK_OPT_STRING;

    if (o->min > o->max)
        return wrong(why, "option %s: min is greater than max", o->name);
    if (natural && o->min < 0)
        return wrong(why, "option %s: a %s below 0 cannot be written", o->name, rk_opt_type_name(o->type));
    return RK_OK;
}

static int
row_sane(const struct rk_opt *o, const struct why *why)
{
    const uint32_t known = RK_OPT_REQUIRED | RK_OPT_RELOAD | RK_OPT_LIST | RK_OPT_ONE_OF | RK_OPT_APPLY;
    struct rk_shown shown;
    char text[200];
    int err;

    if (!name_sane(o->name))
        return wrong(why, "option name \"%s\" is not lower-case words joined by '-' (at most %d bytes, not \"plugin\")",
                     rk_opt_shown(o->name, &shown), RK_NAME_MAX);
    if (o->type < RK_OPT_STRING || o->type > RK_OPT_SECRET)
        return wrong(why, "option %s: type %u is not known", o->name, (unsigned)o->type);
    if (o->flags & ~known)
        return wrong(why, "option %s: flags 0x%x are not known", o->name, (unsigned)(o->flags & ~known));
    if ((o->flags & RK_OPT_APPLY) && (o->type != RK_OPT_DURATION || (o->flags & RK_OPT_LIST)))
        return wrong(why, "option %s: only one duration can be a time within an apply", o->name);
    if ((o->flags & RK_OPT_REQUIRED) && (o->flags & RK_OPT_ONE_OF))
        return wrong(why, "option %s: required, so that the others of its group are never given", o->name);
    if ((o->flags & RK_OPT_ONE_OF) && o->dflt)
        return wrong(why, "option %s: one of several that must be given, so its default is never used", o->name);
    if ((o->flags & RK_OPT_REQUIRED) && o->dflt)
        return wrong(why, "option %s: required, so its default is never used", o->name);
    err = choices_sane(o, why);
    if (!err)
        err = range_sane(o, why);
    if (!err && o->dflt && rk_opt_value(o, o->dflt, NULL, text, sizeof text))
        err = wrong(why, "option %s: its default does not fit: %s", o->name, text);
    return err;
}

int
rk_opts_sane(const struct rk_opt *opts, char *text, size_t size)
{
    const struct why why = {text, size};
    size_t n = 0;

    if (text && size)
        text[0] = '\0';
    for (const struct rk_opt *o = opts; o && o->name; o++, n++) {
        if (n == RK_OPTS_MAX) {
            wrong(&why, "more than %d options", RK_OPTS_MAX);
            return RK_E_CONTRACT;
        }
        if (row_sane(o, &why))
            return RK_E_CONTRACT;
        if (rk_opt_find(opts, o->name) != o) {
            wrong(&why, "option %s is there twice", o->name);
            return RK_E_CONTRACT;
        }
    }
    return RK_OK;
}
