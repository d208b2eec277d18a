/* keep.c - writes and reads the state file.  Read strictly: what this plugin did not write is refused with its line. */
#include "keep.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "rekey-sim 1"
#define LINE_MAX_BYTES 1024 /* an escaped description is the longest: 3 * 255 */

void
sim_escape(const char *text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (rkp_name_ok(text, 1, 1) || strchr("._-", *text)) {
            *out++ = *text;
            continue;
        }
        *out++ = '%';
        *out++ = digits[c >> 4];
        *out++ = digits[c & 15];
    }
    *out = '\0';
}

/* Back in place; false when it is not what sim_escape makes. */
static bool
unescape(char *text)
{
    char *out = text;

    for (; *text; text++) {
        unsigned char c;

        if (*text != '%') {
            *out++ = *text;
            continue;
        }
        if (rkp_hex_len(text + 1, strnlen(text + 1, 2)) != 1)
            return false;
        rkp_hex_get(text + 1, 2, &c);
        *out++ = (char)c;
        text += 2;
    }
    *out = '\0';
    return true;
}

void
sim_flags(uint32_t flags, char *out)
{
    out[0] = flags & RK_HELD_RX ? 'r' : '-';
    out[1] = flags & RK_HELD_TX ? 't' : '-';
    out[2] = flags & RK_SENDING ? 's' : '-';
    out[3] = '\0';
}

static void
print_iface(FILE *out, const struct sim_iface *f)
{
    char escaped[3 * SIM_TEXT_MAX + 1], flags[4];
    uint32_t n = f->n_used < SIM_USED_MAX ? f->n_used : SIM_USED_MAX;

    sim_escape(f->name, escaped);
    fprintf(out, "iface %s\n", escaped);
    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &f->slot[i];

        sim_flags(s->flags, flags);
        if (s->flags)
            fprintf(out, "slot %d %s %llu %s %s %s\n", i, flags, (unsigned long long)s->seq, s->link, s->key_id,
                    s->digest);
    }
    for (uint32_t i = f->n_used - n; i != f->n_used; i++)
        fprintf(out, "used %s\n", f->used[i % SIM_USED_MAX]);
    sim_escape(f->text, escaped);
    if (f->text[0])
        fprintf(out, "text %s\n", escaped);
}

int
sim_keep_save(const struct sim_device *d, struct rk_call *call, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int ok;

    if (!out)
        return d->host->fail(call, RK_E_NOMEM, "state-file: out of memory");
    fprintf(out, HEAD " %s %llu %llu %llu\n", d->name, (unsigned long long)d->applies,
            (unsigned long long)d->faults, (unsigned long long)d->violations);
    for (const struct sim_iface *f = sim_iface_next(d, NULL); f; f = sim_iface_next(d, f))
        print_iface(out, f);
    ok = !ferror(out);
    ok = fclose(out) == 0 && ok && rkp_replace(AT_FDCWD, path, (struct rkp_bytes){text, len}, 0600, false) == 0;
    free(text);
    return ok ? RK_OK : d->host->fail(call, RK_E_IO, "state-file: %s: cannot be written: %m", path);
}

struct reader {
    struct sim_device *d;
    struct sim_iface *f; /* of the last "iface" line */
};

/* RK_KEY_ID_MAX, RK_LINK_MAX and SIM_DIGEST_HEX are 64, 32 and 32: the widths below. */
static bool
read_slot(struct sim_iface *f, const char *line)
{
    struct sim_slot s = {0};
    unsigned long long seq;
    char flags[4], want[4];
    int an, end = 0;

    if (sscanf(line, "slot %1d %3s %20llu %32s %64s %32s%n", &an, flags, &seq, s.link, s.key_id, s.digest, &end) != 6 ||
        line[end] != '\0' || an < 0 || an >= SIM_SLOTS || seq % SIM_SLOTS != (unsigned)an ||
        rkp_hex_len(s.digest, strlen(s.digest)) != SIM_DIGEST_HEX / 2 || f->slot[an].flags)
        return false;
    s.seq = seq;
    s.flags = (flags[0] == 'r' ? RK_HELD_RX : 0) | (flags[1] == 't' ? RK_HELD_TX : 0) |
              (flags[2] == 's' ? RK_SENDING : 0);
    sim_flags(s.flags, want);
    f->slot[an] = s;
    return s.flags && strcmp(flags, want) == 0;
}

static bool
read_used(struct sim_iface *f, const char *digest)
{
    if (rkp_hex_len(digest, strnlen(digest, SIM_DIGEST_HEX + 1)) != SIM_DIGEST_HEX / 2)
        return false;
    memcpy(f->used[f->n_used++ % SIM_USED_MAX], digest, sizeof f->used[0]);
    return true;
}

static bool
read_head(struct sim_device *d, const char *line)
{
    unsigned long long applies, faults, violations;
    char name[sizeof d->name];
    int end = 0;

    if (sscanf(line, HEAD " %32s %20llu %20llu %20llu%n", name, &applies, &faults, &violations, &end) != 4 ||
        line[end] != '\0' || strcmp(name, d->name) != 0)
        return false;
    d->applies = applies;
    d->faults = faults;
    d->violations = violations;
    return true;
}

static bool
read_line(struct reader *r, char *line)
{
    if (strncmp(line, "iface ", 6) == 0) {
        if (!unescape(line + 6))
            return false;
        r->f = sim_iface_get(r->d, line + 6);
        return r->f != NULL;
    }
    if (!r->f)
        return false;
    if (strncmp(line, "slot ", 5) == 0)
        return read_slot(r->f, line);
    if (strncmp(line, "used ", 5) == 0)
        return read_used(r->f, line + 5);
    if (strncmp(line, "text ", 5) != 0 || !unescape(line + 5) || strlen(line + 5) > SIM_TEXT_MAX)
        return false;
    snprintf(r->f->text, sizeof r->f->text, "%s", line + 5);
    return true;
}

int
sim_keep_load(struct sim_device *d, struct rk_call *call, const char *path)
{
    struct reader r = {d, NULL};
    char line[LINE_MAX_BYTES];
    unsigned number = 0;
    struct rkp_why why;
    bool good = true;
    FILE *in;
    int fd, err = rkp_open_file(AT_FDCWD, path, RKP_NOT_SHARED, &fd, &why);

    if (err == RK_E_NOENT)
        return RK_OK;
    if (err)
        return d->host->fail(call, err, "state-file: %s", why.text);
    in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return d->host->fail(call, RK_E_NOMEM, "state-file: out of memory");
    }
    while (good && fgets(line, sizeof line, in)) {
        size_t n = strlen(line);

        number++;
        good = n > 0 && line[n - 1] == '\n';
        if (good) {
            line[n - 1] = '\0';
            good = number == 1 ? read_head(d, line) : read_line(&r, line);
        }
    }
    good = good && number > 0 && !ferror(in);
    fclose(in);
    if (good)
        return RK_OK;
    return d->host->fail(call, RK_E_CONFIG, "state-file: %s:%u: not the state of device %s; remove the file to begin "
                         "with an empty device", path, number, d->name);
}
