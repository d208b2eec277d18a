/* replay_main.c - runs a fuzz target over its corpus, without a fuzzer: a TAP test for every build.
 *
 * Each file is given whole, then cut at many places, then with single bytes changed: the same ones in every run.  The
 * input ends where its memory ends, so that a sanitizer sees a read behind it.
 *   fuzz_NAME.replay            the corpus tests/fuzz/corpus/NAME of the source
 *   fuzz_NAME.replay FILE...    these files, only whole
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1024 * 1024)
#define CUTS_MAX 256
#define CHANGES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *bytes;
    size_t size;
};

static void
run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    if (size)
        memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void
run_cut(const struct input *in)
{
    size_t step = in->size / CUTS_MAX + 1;

    for (size_t size = 0; size < in->size; size += step)
        run(in->bytes, size);
}

static void
run_changed(struct input *in)
{
    uint32_t random = 1; /* the generator of C's own example: its quality does not matter, its repetition does */

    for (int i = 0; i < CHANGES && in->size > 0; i++) {
        size_t at;
        uint8_t was;

        random = random * 1103515245u + 12345u;
        at = (random >> 8) % in->size;
        was = in->bytes[at];
        in->bytes[at] ^= (uint8_t)(1u << (random >> 29));
        run(in->bytes, in->size);
        in->bytes[at] = was;
    }
}

static int
read_input(const char *path, struct input *in)
{
    FILE *f = fopen(path, "rb");

    in->bytes = malloc(INPUT_MAX);
    in->size = 0;
    if (f && in->bytes)
        in->size = fread(in->bytes, 1, INPUT_MAX, f);
    if (!f || !in->bytes || ferror(f)) {
        if (f)
            fclose(f);
        free(in->bytes);
        return -1;
    }
    fclose(f);
    return 0;
}

static int
visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* The corpus of fuzz_NAME.replay. */
static int
replay_corpus(const char *program)
{
    const char *srcdir = getenv("top_srcdir"), *name = strrchr(program, '/');
    struct dirent **files = NULL;
    char dir[3000], path[4000];
    int n;

    name = name ? name + 1 : program;
    name += strncmp(name, "fuzz_", 5) == 0 ? 5 : 0;
    snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%.*s", srcdir ? srcdir : ".", (int)strcspn(name, "."), name);
    n = scandir(dir, &files, visible, alphasort);
    if (n <= 0) {
        printf("Bail out! no corpus in %s\n", dir);
        return 1;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        struct input in;

        snprintf(path, sizeof path, "%s/%s", dir, files[i]->d_name);
        if (read_input(path, &in) == 0) {
            run(in.bytes, in.size);
            run_cut(&in);
            run_changed(&in);
            free(in.bytes);
            printf("ok %d - %s\n", i + 1, files[i]->d_name);
        } else {
            printf("not ok %d - %s cannot be read\n", i + 1, files[i]->d_name);
        }
        fflush(stdout);
        free(files[i]);
    }
    free(files);
    return 0;
}

int
main(int argc, char **argv)
{
    struct input in;

    if (argc == 1)
        return replay_corpus(argv[0]);
    for (int i = 1; i < argc; i++) {
        if (read_input(argv[i], &in)) {
            perror(argv[i]);
            return 1;
        }
        run(in.bytes, in.size);
        free(in.bytes);
    }
    return 0;
}
