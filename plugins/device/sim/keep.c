/* keep.c - writes and reads the state file.  Read strictly: what this plugin did not write is refused with its line. */
#include "keep.h"

#include "class.h"

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
print_iface(FILE *out, const struct sim_device *d, const struct sim_iface *f)
{
    char escaped[3 * SIM_TEXT_MAX + 1];

    sim_escape(f->name, escaped);
    fprintf(out, "iface %s\n", escaped);
    d->class->save(f, out);
    if (!f->text || !f->text[0])
        return;
    sim_escape(f->text, escaped);
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
    if (d->class != &sim_class_a)
        fprintf(out, "class %s\n", d->class->name);
    for (const struct sim_iface *f = sim_iface_next(d, NULL); f; f = sim_iface_next(d, f))
        print_iface(out, d, f);
    ok = !ferror(out);
    ok = fclose(out) == 0 && ok && rkp_replace(AT_FDCWD, path, (struct rkp_bytes){text, len}, 0600, false) == 0;
    free(text);
    return ok ? RK_OK : d->host->fail(call, RK_E_IO, "state-file: %s: cannot be written: %m", path);
}

struct reader {
    struct sim_device *d;
    struct sim_iface *f; /* of the last "iface" line */
    const char *class;   /* what the file says */
};

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
read_class(struct reader *r, const char *line)
{
    if (strcmp(line + 6, r->d->class->name) != 0 || r->f)
        return false;
    r->class = r->d->class->name;
    return true;
}

static bool
read_line(struct reader *r, char *line)
{
    if (strncmp(line, "class ", 6) == 0)
        return read_class(r, line);
    if (strcmp(r->class, r->d->class->name) != 0)
        return false; /* of another class */
    if (strncmp(line, "iface ", 6) == 0) {
        if (!unescape(line + 6))
            return false;
        r->f = sim_iface_get(r->d, line + 6);
        return r->f != NULL;
    }
    if (!r->f)
        return false;
    if (strncmp(line, "text ", 5) != 0)
        return r->d->class->load(r->d, r->f, line);
    return unescape(line + 5) && strlen(line + 5) <= SIM_TEXT_MAX && sim_iface_text(r->f, line + 5);
}

int
sim_keep_load(struct sim_device *d, struct rk_call *call, const char *path)
{
    struct reader r = {d, NULL, "a"};
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
    return d->host->fail(call, RK_E_CONFIG, "state-file: %s:%u: not the state of device %s, class %s; remove the "
                         "file to begin with an empty device", path, number, d->name, d->class->name);
}
