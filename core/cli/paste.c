/* paste.c - links that a device found, as YAML that rekeyd reads.
 *
 * Runs in rekeyctl.  The names come from a device and its neighbours: none of them may end a line, a quotation or a
 * comment.
 */
#include "paste.h"

#include "row.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 33

/* Letters first, then what means nothing in YAML; and no word that YAML takes for something else. */
static bool
is_plain(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", NULL};

    if (!text[0] || !strchr(letters, text[0]))
        return false;
    for (size_t i = 0; words[i]; i++)
        if (strcasecmp(words[i], text) == 0)
            return false;
    text += strspn(text, letters);
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr("0123456789._/-", *text))
            return false;
    return true;
}

void
rk_yaml_text(FILE *out, const char *text)
{
    json_t *value = is_plain(text) ? NULL : json_string(text);
    /* what JSON quotes YAML reads; and all but ASCII is written as \u */
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

    if (is_plain(text))
        fputs(text, out);
    else
        fputs(quoted ? quoted : "\"?\"", out);
    free(quoted);
    json_decref(value);
}

static void
value(FILE *out, const char *indent, const char *name, const char *text)
{
    fprintf(out, "%s%s: ", indent, name);
    rk_yaml_text(out, text);
    putc('\n', out);
}

/* One line, whatever the text is. */
static void
comment(FILE *out, const char *indent, const char *what, const char *text)
{
    char *safe = rk_show_safe(text, false);

    if (safe && safe[0])
        fprintf(out, "%s# %s%s\n", indent, what, safe);
    free(safe);
}

static const char *
text_of(const json_t *row, const char *name)
{
    return rk_row_text(row, name, "");
}

/* ---- sources ---- */

/* A name for a source that is new: of its KME's host. */
static void
source_name(const json_t *options, char name[NAME_BYTES])
{
    const char *host = rk_row_text(options, "kme-host", rk_row_text(options, "plugin", "source"));
    size_t n = (size_t)snprintf(name, NAME_BYTES, "kme-%.28s", host);

    for (size_t i = 0; i < n && name[i]; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]))
            name[i] = '-';
}

static bool
is_new_source(const json_t *row)
{
    return json_is_object(json_object_get(row, "source_options")) && !text_of(row, "source")[0] &&
           !text_of(row, "link")[0];
}

/* The first of those that name this KME. */
static bool
is_first(const json_t *found, size_t at)
{
    const json_t *options = json_object_get(json_array_get(found, at), "source_options");

    for (size_t i = 0; i < at; i++)
        if (is_new_source(json_array_get(found, i)) &&
            json_equal(options, json_object_get(json_array_get(found, i), "source_options")))
            return false;
    return true;
}

static void
put_source(FILE *out, json_t *options)
{
    char name[NAME_BYTES];
    const char *key;
    json_t *option;

    source_name(options, name);
    fputs("  ", out);
    rk_yaml_text(out, name);
    fputs(":\n", out);
    json_object_foreach(options, key, option) {
        const char *text = json_is_string(option) ? json_string_value(option) : "";

        if (strcmp(key, "kme-ca") == 0 && strcmp(text, "false") == 0)
            fputs("    # kme-ca: false would take keys from whoever answers: it is refused\n", out);
        else
            value(out, "    ", key, text);
    }
    fputs("    # to be added, for the device does not have them:\n"
          "    # cert: /etc/rekey/THIS-SAE.pem\n"
          "    # key: \"file:/etc/rekey/THIS-SAE.key\"\n"
          "    # ca: /etc/rekey/KME-CA.pem\n", out);
}

static void
put_sources(FILE *out, const json_t *found)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(found); i++) {
        json_t *row = json_array_get(found, i);

        if (!is_new_source(row) || !is_first(found, i))
            continue;
        if (!any)
            fputs("sources:\n", out);
        any = true;
        put_source(out, json_object_get(row, "source_options"));
    }
}

/* ---- links ---- */

static void
put_source_of(FILE *out, const json_t *row)
{
    const json_t *options = json_object_get(row, "source_options");
    char name[NAME_BYTES];

    if (text_of(row, "source")[0]) {
        value(out, "    ", "source", text_of(row, "source"));
    } else if (json_is_object(options)) {
        source_name(options, name);
        value(out, "    ", "source", name);
    } else {
        fputs("    # source: to be added, for the device names no KME\n", out);
    }
}

static void
put_link(FILE *out, const json_t *row)
{
    char *peer_iface = rk_show_safe(text_of(row, "peer_interface"), false);

    fputs("  - name: ", out);
    rk_yaml_text(out, text_of(row, "name"));
    putc('\n', out);
    value(out, "    ", "device", text_of(row, "device"));
    value(out, "    ", "interface", text_of(row, "interface"));
    value(out, "    ", "peer-sae", text_of(row, "peer_sae"));
    comment(out, "    ", "the other end is its interface ", peer_iface ? peer_iface : "");
    put_source_of(out, row);
    if (text_of(row, "channel")[0])
        value(out, "    ", "channel", text_of(row, "channel"));
    else
        fputs("    # channel: to be added: how the key IDs reach the other end\n", out);
    comment(out, "    ", "the device still needs: ", text_of(row, "needs"));
    free(peer_iface);
}

/* A link that is there already, or cannot be used, is a remark. */
static bool
put_remark(FILE *out, const json_t *row)
{
    char *iface = rk_show_safe(text_of(row, "interface"), false);
    char what[160];
    bool there = text_of(row, "link")[0], usable = text_of(row, "name")[0];

    if (there || !usable) {
        snprintf(what, sizeof what, "%.100s: %s", iface && iface[0] ? iface : "an interface",
                 there ? "is there already, as link " : "cannot be used: ");
        comment(out, "  ", what, there ? text_of(row, "link") : text_of(row, "why"));
    }
    free(iface);
    return there || !usable;
}

/* The SAE of this end is the site's: the other one must use the same word for it. */
static void
put_site(FILE *out, const json_t *found)
{
    const json_t *row = json_array_get(found, 0);
    const char *sae = text_of(row, "sae"), *own = text_of(row, "own_sae");
    char *safe = rk_show_safe(own, false);
    char what[200];

    snprintf(what, sizeof what, "sae of this site is %.64s; its neighbours know the device as ", safe ? safe : "?");
    if (strcmp(sae, own) != 0)
        comment(out, "", what, sae);
    free(safe);
}

void
rk_yaml_links(FILE *out, const json_t *found)
{
    size_t n = json_array_size(found), links = 0;

    put_site(out, found);
    put_sources(out, found);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(found, i);

        links += !text_of(row, "link")[0] && text_of(row, "name")[0];
    }
    fputs(links ? "links:\n" : "links: []\n", out);
    for (size_t i = 0; i < n; i++)
        if (!put_remark(out, json_array_get(found, i)))
            put_link(out, json_array_get(found, i));
}
